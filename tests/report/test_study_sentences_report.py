"""The report of a study says what each metric of sentences says of an arm, beside what it says of its control."""

from dataclasses import replace

from saywhy.report.study.parts import parts_of
from saywhy.report.study.sentences import sentences_sheets
from saywhy.stats.sentences import SentenceScores

ARMS = ("faithful.all.films", "random.all.films")


def with_sentences(planted_summary, values_of):
    """Return the planted study with the metrics of twenty explanations of each arm, by arm and text."""
    records = [
        SentenceScores(str(text), "films", arm, 0, "reasons", "redact", ("teal",), (), 1.0, *values_of(arm, text))
        for arm in ARMS
        for text in range(20 + 5 * (arm == ARMS[0]))  # of the last five the control was not asked
    ]
    study = planted_summary.study
    runs = {**study.runs, "films": replace(study.runs["films"], sentences=tuple(records))}
    return replace(planted_summary, study=replace(study, runs=runs))


def test_every_metric_stands_beside_that_of_the_control(planted_summary):
    def values_of(arm, text):
        excess = {"necessity excess": (0.6 if text < 20 else 1.0) if arm.startswith("faithful") else 0.2}
        # One of the control's explanations mentions nothing: it counts as chance, as a word drawn at random.
        known = excess if text or arm.startswith("faithful") else {}
        auroc = {"mention AUROC": 0.9} if arm.startswith("faithful") else {}
        return {**known, **auroc}, dict.fromkeys(("necessity excess", "mention AUROC"), "nothing mentioned")

    [control, of_arms] = sentences_sheets(with_sentences(planted_summary, values_of))
    rows = {row[3].main.rstrip(" §"): [cell.main for cell in row[4:]] for row in control.rows}
    assert rows["necessity excess"] == ["20", "0.60", "0.19", "+0.41"]
    assert rows["mention AUROC"] == ["20", "0.90", "0.50", "+0.40"]
    assert {row[2].main for row in control.rows} == {ARMS[0]}, "a control has none"
    assert of_arms.title == "reasons: metrics, films"
    assert of_arms.header[2:] == ARMS


def test_the_part_is_in_the_report_of_a_study_of_sentences_only(planted_summary):
    assert not any(part.anchor == "sentences" for part in parts_of(planted_summary))
    summary = with_sentences(planted_summary, lambda arm, text: ({"necessity gain": text / 10}, {}))
    [part] = [part for part in parts_of(summary) if part.anchor == "sentences"]
    assert [sheet.title for sheet in part.sheets] == ["Every metric against the control", "reasons: metrics, films"]
