"""A study file: what it expands to, what is refused before anything runs, what is frozen."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from plans import SMALL, file_of, plan
from saywhy.arms import ArmName
from saywhy.records import READOUTS, SETTINGS, STYLES, SaywhyError
from saywhy.study import expand, frozen, rates, refusals, requests, steps
from saywhy.study.read import read_plan
from saywhy.study.run import StudyRunner

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))
EXPLORATORY = {"released"}  # of test texts, nothing frozen: every number of it is called exploratory


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_shipped_studies_can_be_read(path):
    read = read_plan(path)
    assert read.name == path.stem
    confirms_nothing = read.with_.get("split") == "validation" or read.name in EXPLORATORY
    assert bool(expand.confirmatory_cells(read)) != confirms_nothing
    assert steps.steps_of_units(read, expand.plan_units(read))
    refusals.refuse_unfit_plan(read, expand.recipes_of_arms(read))


@pytest.mark.parametrize(
    "name", ["faithful.all.snli", "random-bare.attribution+redaction.all", "lexical.counterfactual.snli+ag_news"]
)
def test_names_of_arms_are_read_back(name):
    assert str(ArmName.parse(name)) == name


@pytest.mark.parametrize("name", ["faithful", "honest.all.snli", "faithful.poem.snli"])
def test_what_is_no_arm_is_refused(name):
    with pytest.raises(SaywhyError):
        ArmName.parse(name)


def test_each_arm_is_trained_and_audited_once():
    asked = requests.audit_requests(plan())
    assert asked["base", 0, "snli"].settings == ("one-word",)
    assert ("base", 1, "snli") not in asked, "nothing in base depends on the seed"
    assert asked["faithful.all.snli", 1, "snli"]
    assert asked["faithful.all.all", 0, "ag_news"]
    every = steps.steps_of_units(plan(), expand.plan_units(plan()))
    assert len(every) == len(set(every))


def test_a_step_comes_behind_what_it_needs():
    every = steps.steps_of_units(plan(), expand.plan_units(plan()))
    for step in every:
        if step.kind == "audit":
            assert all(
                every.index(one) < every.index(step) for one in steps.needed_trainings(plan(), step.arm, step.seed)
            )
    names = [step.name for step in every]
    half, whole = (f"train faithful-{one}.all.snli, seed 0" for one in ("half", "refreshed"))
    assert names.index("train adapted, seed 0") < names.index(half) < names.index(whole)


def test_confirmatory_units_come_first_then_those_that_say_most_an_hour():
    wanted = plan()
    every = steps.steps_of_units(wanted, expand.plan_units(wanted))
    cost = {step: 100.0 if "more" in step.arm else 1.0 for step in every}
    order = [unit.block for unit in steps.units_in_order(wanted, cost)]
    assert order[:4] == ["main"] * 4
    assert order[-1] == "more"


def test_the_work_of_all_steps_is_worked_out_from_the_plan_once(monkeypatch):
    wanted, asks = plan(), []
    every = steps.steps_of_units(wanted, expand.plan_units(wanted))
    monkeypatch.setattr(steps, "audit_requests", lambda given: asks.append(given) or requests.audit_requests(given))
    monkeypatch.setattr(steps, "recipes_of_arms", lambda given: asks.append(given) or expand.recipes_of_arms(given))
    work = {
        step.name: {size.rate[0]: size.count for size in parts}
        for step, parts in steps.work_of_steps(wanted, every).items()
    }
    assert len(asks) == 2
    assert len(work) == len(every)
    assert work["keep base, seed 0"] == {"keep": 60}
    assert work["train adapted, seed 0"] == {"train": 36}
    assert work["train faithful.all.snli, seed 1"] == {"train": 16, "targets": 8}
    assert work["train faithful-more.all.snli, seed 0"] == {"train": 40, "targets": 12}, "8 are made before"
    assert work["train random-half.all.snli, seed 0"] == {"train": 8, "targets": 0}
    assert work["audit base on snli, seed 0"] == {"audit": 60, "decide": 100 + 128}


def test_the_run_of_a_task_holds_the_texts_of_its_largest_arm():
    assert expand.task_settings(plan()).train_rows == 20
    assert expand.task_settings(plan(), "snli", {}).train_rows == 8


def test_confirmatory_cells_name_arm_control_and_seeds():
    cells = expand.confirmatory_cells(plan())
    assert len(cells) == 2 * len(STYLES)
    assert {cell["against"] for cell in cells if cell["task"] == "snli"} == {"random.all.snli"}
    assert all(cell["seeds"] == [0, 1] and cell["direction"] == "higher" for cell in cells)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"blocks": [{"name": "main", "arms": ["faithfull", "random"]}]}, "did you mean 'faithful'"),
        ({"blocks": [{"name": "main", "train_tasks": [["snly"]]}]}, "did you mean 'snli'"),
        ({"blocks": [{"name": "main", "test_tasks": ["trec"]}]}, "neither tasks nor unseen"),
        ({"blocks": [{"name": "main", "test_tasks": "unseen"}], "unseen": []}, "the study has none"),
        ({"blocks": [{"name": "main", "seeds": [3]}]}, "seed 3"),
        ({"blocks": [{"name": "main", "settings": ["free"]}]}, "generated"),
        ({"blocks": [{"name": "main", "with": {"rate": 0.1}}]}, "variant"),
        ({"blocks": [{"name": "main", "variant": "x", "with": {"learning_rat": 0.1}}]}, "did you mean 'learning_rate'"),
        ({"blocks": [{"name": "main", "variant": "x", "with": {"rank": 8}}]}, "only 0, all weights"),
        ({"blocks": [{"name": "main", "styles": ["poem"]}]}, "styles"),
        ({"blocks": [{"name": "main"}, {"name": "main"}]}, "twice"),
        ({"confirmatory": [{"block": "mine"}]}, "did you mean 'main'"),
        (
            {"confirmatory": [{"block": "main"}, {"block": "main", "styles": ["redaction"]}]},
            "redaction, .* is there twice",
        ),
        ({"confirmatory": [{"block": "main", "against": "faithful"}]}, "no other faithful to compare faithful with"),
        ({"confirmatory": [{"block": "main", "styles": []}]}, "styles"),
        ({"blocks": [{"name": "main", "train_styles": []}]}, "train_styles: an empty list"),
        ({"blocks": [{"name": "main", "train_styles": [[]]}]}, "train_styles: an empty list"),
        ({"blocks": [{"name": "main", "train_tasks": [[]]}]}, "train_tasks: an empty list"),
        ({"blocks": [{"name": "main", "test_tasks": []}]}, "test_tasks: an empty list"),
        ({"confirmatory": [{"block": "main", "arm": "lexical"}]}, "cell that cannot exist"),
        ({"confirmatory": [{"block": "main", "readout": "generated"}]}, "cell that cannot exist"),
        ({"tasks": []}, "tasks"),
        ({"hours": 3}, "no such entry"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(tmp_path, changes, told):
    with pytest.raises(SaywhyError, match=told) as refused:
        read_plan(file_of(tmp_path, **changes))
    assert "\n" not in str(refused.value)


def test_settings_are_refused_before_anything_runs(tmp_path):
    read = read_plan(file_of(tmp_path, **{"with": {"rowz": 3}}))
    with pytest.raises(SaywhyError, match="did you mean 'rows'"):
        expand.task_settings(read)
    read = read_plan(file_of(tmp_path, **{"with": {"model": "other"}}))
    with pytest.raises(SaywhyError, match="top of the file"):
        expand.task_settings(read)


GATE = {"bar": "gate", "arm": "faithful.all.TASK", "tasks": ["snli"]}
LEVEL = {"bar": "score", "arm": "faithful.all.TASK", "tasks": ["snli"], "styles": ["redaction"], "at_least": 0.5}


@pytest.mark.parametrize(
    ("bar", "told"),
    [
        ({**GATE, "arm": "faithfull.all.TASK"}, "no arm 'faithfull.all.snli', did you mean 'faithful.all.snli'"),
        ({**GATE, "arm": "faithful.redaction.snli", "tasks": ["ag_news"]}, "is not tested on 'ag_news'"),
        ({"bar": "transfer", "axis": "free", "setting": "free"}, "free explanations are generated only"),
        (
            {"bar": "transfer", "axis": "free", "setting": "free", "readout": "guided"},
            "free explanations are generated only",
        ),
        ({"bar": "transfer", "axis": "free"}, "say setting: free"),
        ({"bar": "transfer", "axis": "robustness"}, "other operators and readouts are checks"),
        ({**GATE, "arm": "adapted"}, "adapted practises no explanations"),
        ({**LEVEL, "readout": "guided"}, "no block asks faithful.all.snli on snli for redaction, one-word, guided"),
        ({**LEVEL, "operator": "delete"}, "one-word, constrained, with operator delete"),
        ({**LEVEL, "setting": "free", "readout": "generated"}, "redaction, free, generated"),
        ({**LEVEL, "bar": "validity", "readout": "generated"}, "redaction, one-word, generated"),
    ],
)
def test_a_bar_on_what_will_never_be_measured_is_refused(bar, told):
    refusals.refuse_bars(plan(bars=[GATE, LEVEL]))
    with pytest.raises(SaywhyError, match=told):
        refusals.refuse_bars(plan(bars=[bar]))


def test_a_bar_on_confirmation_where_nothing_is_confirmatory_is_refused():
    for bar in ({"bar": "confirmed", "p_below": 0.05}, {"bar": "settled", "beyond": 0.05, "at_least": 1}):
        refusals.refuse_bars(plan(bars=[bar]))
        with pytest.raises(SaywhyError, match="nothing is confirmatory"):
            refusals.refuse_bars(plan(bars=[bar], confirmatory=[]))
    with pytest.raises(SaywhyError, match=r"at_least is 99, but only \d+ cells are confirmatory"):
        refusals.refuse_bars(plan(bars=[{"bar": "settled", "beyond": 0.05, "at_least": 99}]))


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf"])
@pytest.mark.parametrize("bar", [{"bar": "score", "at_least": 0.5}, {"bar": "drift", "within": 0.5}])
def test_a_bar_that_no_number_can_meet_or_miss_is_refused(tmp_path, bar, number):
    cells = {"arm": "faithful.all.TASK", "tasks": ["snli"], "styles": ["redaction"]}
    path = file_of(tmp_path, bars=[{**cells, **bar}])
    path.write_text(path.read_text("utf-8").replace("0.5", number), "utf-8")
    with pytest.raises(SaywhyError, match=r"bars\.0.*finite number"):
        read_plan(path)


def test_free_explanations_are_asked_for_generated_only():
    request = requests.AuditRequest(("redaction",), SETTINGS, READOUTS)
    free = [readout for _, setting, readout in request.combinations() if setting == "free"]
    assert free == ["generated"]
    assert len(request.combinations()) == len(READOUTS) + 1


def test_a_task_that_there_is_not_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(SaywhyError, match="snly"):
        StudyRunner(plan(tasks=["snly"], unseen=[], blocks=[{"name": "main"}], confirmatory=[]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_adapter_of_a_block_ships_with_the_operators_by_which_its_block_searches(tiny_folder, tmp_path):
    settings = {"objective": "table", "target_operators": ["delete", "infill"]}
    block = {"name": "table", "variant": "table", "train_tasks": [["snli"]], "with": settings}
    models = StudyRunner(plan(model=str(tiny_folder), blocks=[*SMALL["blocks"], block]), tmp_path).models
    assert models.searched_with("faithful-table.all.snli") == "delete+infill"
    assert models.searched_with("faithful.all.snli") == "redact"
    assert models.searched_with("random.all.snli") is None


def test_the_first_half_of_a_refreshed_arm_practises_by_the_recipe_of_its_block(tiny_folder, tmp_path):
    anew = {**SMALL["blocks"][3], "with": {"train_rows": 4, "objective": "table"}}
    blocks = [*SMALL["blocks"][:3], anew]
    models = StudyRunner(plan(model=str(tiny_folder), blocks=blocks), tmp_path).models
    for variant in ("half", "refreshed"):
        settings = models.settings_of(f"faithful-{variant}.all.snli")
        assert (settings.train_rows, settings.objective) == (4, "table")


def test_a_cell_that_two_blocks_confirm_is_frozen_once():
    again = {**SMALL["blocks"][0], "name": "again"}
    both = plan(blocks=[*SMALL["blocks"], again], confirmatory=[{"block": "main"}, {"block": "again"}])
    assert expand.confirmatory_cells(both) == expand.confirmatory_cells(plan())
    opposite = [{"block": "main"}, {"block": "again", "direction": "lower"}]
    with pytest.raises(SaywhyError, match="is there twice, with other seeds or in another direction"):
        expand.confirmatory_cells(plan(blocks=[*SMALL["blocks"], again], confirmatory=opposite))


def test_what_has_no_rate_takes_as_long_as_it_did():
    audits = [steps.StudyStep("audit", arm, 0, "snli") for arm in ("base", "adapted")]
    keeps = [steps.StudyStep("keep", arm, 0) for arm in ("base", "adapted", "more")]
    cost = {**dict.fromkeys(audits, 10.0), **dict.fromkeys(keeps, 0.0)}
    corrected = rates.corrected_cost(cost, {audits[0]: 20.0, keeps[0]: 30.0, keeps[1]: 50.0})
    assert corrected == {**dict.fromkeys(audits, 20.0), **dict.fromkeys(keeps, 40.0)}


def test_two_recipes_under_one_name_are_refused():
    doubled = [*SMALL["blocks"], {"name": "less", "variant": "more", "train_tasks": [["snli"]], "with": {"epochs": 1}}]
    with pytest.raises(SaywhyError, match="variant of its own"):
        expand.recipes_of_arms(plan(blocks=doubled))


def test_no_yaml_and_no_file_are_told(tmp_path):
    (tmp_path / "a.yaml").write_text("a: [", "utf-8")
    with pytest.raises(SaywhyError, match="not valid YAML"):
        read_plan(tmp_path / "a.yaml")
    with pytest.raises(SaywhyError, match="cannot be read"):
        read_plan(tmp_path / "b.yaml")


def test_what_is_confirmatory_is_frozen(tmp_path):
    first = frozen.freeze_plan(plan(), tmp_path)
    assert frozen.freeze_plan(plan(), tmp_path) == first
    more = [*SMALL["blocks"], {"name": "later", "arms": ["faithful", "lexical"]}]
    assert frozen.freeze_plan(plan(blocks=more), tmp_path) == first, "exploratory blocks may be added"
    with pytest.raises(SaywhyError, match=r"changed after its start \(cells"):
        frozen.freeze_plan(plan(confirmatory=[{"block": "main", "against": "base"}]), tmp_path)


def test_how_a_machine_computes_is_not_frozen(tmp_path):
    first = frozen.freeze_plan(plan(), tmp_path)
    assert frozen.freeze_plan(plan(**{"with": {**SMALL["with"], "precision": "float32"}}), tmp_path) == first


def test_an_edited_frozen_part_is_noticed(tmp_path):
    frozen.freeze_plan(plan(), tmp_path)
    path = tmp_path / "frozen.json"
    path.write_text(path.read_text("utf-8").replace("0.05", "0.5"), "utf-8")
    with pytest.raises(SaywhyError, match="edited after it was frozen"):
        frozen.freeze_plan(plan(), tmp_path)


def test_one_study_may_ask_for_words_in_one_block_and_for_sentences_in_another():
    sentences = {"name": "in sentences", "styles": ["reasons"], "settings": ["sentences"], "readouts": ["generated"]}
    wanted = plan(blocks=[{"name": "main"}, sentences])
    assert expand.task_settings(wanted).settings == ("one-word",)
    [request] = {
        request for (arm, _, _), request in requests.audit_requests(wanted).items() if arm.startswith("faithful")
    }
    asked = request.combinations()
    assert ("reasons", "sentences", "generated") in asked
    assert ("attribution", "one-word", "constrained") in asked
    assert all((style == "reasons") == (setting == "sentences") for style, setting, _ in asked)


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"styles": ["reasons"]}, "give styles=reasons settings=sentences"),
        ({"settings": ["sentences"], "readouts": ["generated"]}, "are no sentences"),
        ({"styles": ["steps"], "settings": ["sentences"]}, "sentences are generated only"),
        ({"train_styles": [["step"]]}, "train_styles"),
        ({"train_styles": [["steps"]], "arms": ["faithful", "transplant"]}, "a donor has one word a text"),
        ({"train_styles": [["steps"]], "variant": "x", "with": {"objective": "dpo"}}, "objective=dpo ranks one-word"),
        (
            {"train_styles": [["reasons"]], "variant": "x", "with": {"objective": "table"}},
            "objective=table ranks one-word",
        ),
        ({"variant": "x", "with": {"steps_order": "before"}}, "no steps are asked for"),
        ({"train_styles": [["steps"]], "variant": "x", "with": {"steps_order": "first"}}, "it takes after, before"),
    ],
)
def test_a_block_asks_for_words_or_for_sentences(asked, problem):
    with pytest.raises(ValidationError, match=problem):
        plan(blocks=[{"name": "main", **asked}], confirmatory=[])


def test_the_order_of_steps_is_that_of_the_study_or_of_the_block():
    steps_asked = {"styles": ["steps"], "settings": ["sentences"], "readouts": ["generated"]}
    by_block = {"name": "steps", **steps_asked, "variant": "first", "train_styles": [["steps"]]}
    blocks = [{"name": "main", "styles": ["reasons"], "settings": ["sentences"], "readouts": ["generated"]}]
    blocks += [{**by_block, "with": {"steps_order": "before"}}, {"name": "words"}]
    wanted = plan(blocks=blocks, confirmatory=[])
    orders = {arm: request.steps_order for (arm, _, _), request in requests.audit_requests(wanted).items()}
    assert orders["faithful-first.steps.snli"] == "before"
    assert orders["faithful.all.snli"] == "after"
    assert expand.task_settings(wanted).steps_order == "after"
    assert expand.task_settings(wanted, extra={"steps_order": "before"}).steps_order == "before"
    settings = {**SMALL["with"], "steps_order": "before"}
    whole = plan(blocks=[{"name": "main", **steps_asked}], confirmatory=[], **{"with": settings})
    assert {request.steps_order for request in requests.audit_requests(whole).values()} == {"before"}
    with pytest.raises(ValidationError, match="no block asks for steps"):
        plan(**{"with": settings})
    twice = [{"name": "main", **steps_asked, "arms": ["base", "faithful"]}, {**blocks[1], "arms": ["base", "random"]}]
    with pytest.raises(SaywhyError, match="block steps asks base for steps in another order"):
        requests.audit_requests(plan(blocks=twice, confirmatory=[]))
