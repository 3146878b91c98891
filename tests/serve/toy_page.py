"""What the tests of the page share: texts of known truth, a service for them, links to it."""

from urllib.parse import urlencode

from moods import TASK
from saywhy.models.scripted import honest, liar
from saywhy.serve.options import ServiceSettings
from saywhy.serve.service import Service
from served import Observed, explainer_of

HOLDS = "We love this great day but I am sad"
"""Without one of two words the answer changes; a third speaks against it."""
PAIR = "I love this great day :)"
"""No single word decides, two do."""
ALONE = "Superb"
LONG = f"{HOLDS} {' '.join(f'on day number {n} of it' for n in range(10))}"
"""Only a search rechecks each of its words."""


def toy_service(task=TASK, explainers=(("trained", honest), ("base", liar)), **settings):
    """Return a service whose trained model is honest about its rule, and whose base model lies."""
    models = {name: explainer_of(Observed(explain, task)) for name, explain in explainers}
    return Service(models, ServiceSettings(**{"most_characters": 2000, "effort": "search", **settings}))


def link(address, **state):
    return f"{address}#{urlencode(state)}"


def spoil(page, **changes):
    """Answer what the service answers, with changes in the decision."""

    def changed(route):
        answer = route.fetch().json()
        answer["decisions"][0].update(changes)
        route.fulfill(json=answer)

    page.route("**/v1/explain", changed)
