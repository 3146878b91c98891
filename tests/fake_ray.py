"""A cluster of several machines in the place of Ray's: it places actors by their resources, and computes nothing."""

from types import SimpleNamespace

from saywhy.study.worker import Greeting, token_path


class FakeRay:
    """What ``saywhy.study`` asks of the module ``ray``.

    Attributes:
        machines: What each machine has in all, by name.
        greeting: Versions and precision of all workers.
        occupied: What others have of each machine.
        held: Names of the parts that are not ready yet.
        actors: Those that were begun and have not been ended.
        begun: How many were begun in all.
    """

    exceptions = SimpleNamespace(RayError=RuntimeError, RayTaskError=ValueError)

    def __init__(self, machines, **greeting):
        self.machines, self.greeting = machines, greeting
        self.occupied = {name: {} for name in machines}
        self.held, self.actors, self.begun = set(), [], 0

    def init(self, **options):
        pass

    def nodes(self):
        return [{"NodeID": name, "Resources": totals, "Alive": True} for name, totals in self.machines.items()]

    def remote(self, worker):
        return SimpleNamespace(options=lambda **options: SimpleNamespace(remote=lambda: self._begin(options)))

    def _begin(self, options):
        self.begun += 1
        self.actors.append(FakeActor({"CPU": options["num_cpus"], "GPU": options["num_gpus"]}))
        return self.actors[-1]

    def kill(self, actor):
        self.actors.remove(actor)

    def wait(self, calls, timeout):
        for actor in self.actors:
            actor.machine = actor.machine or self._place(actor.needed)
        ready = [call for call in calls if call.actor.machine and call.part not in self.held]
        return ready, [call for call in calls if call not in ready]

    def get(self, call):
        if not call.token:
            return (call.part, 1.0) if call.part else None
        call.token.write_text("copy")
        return Greeting(host=call.actor.machine, machine=call.actor.machine, **self.greeting)

    def _place(self, needed):
        for name, totals in self.machines.items():
            taken = [self.occupied[name], *(actor.needed for actor in self.actors if actor.machine == name)]
            free = {key: total - sum(amounts.get(key, 0) for amounts in taken) for key, total in totals.items()}
            if all(free.get(key, 0) >= amount for key, amount in needed.items()):
                return name
        return None


class FakeActor:
    """An actor, whose calls are answered once it has a place."""

    def __init__(self, needed):
        self.needed, self.machine = needed, None
        self.open = self._method(lambda plan, out, here, store: {})
        self.greet = self._method(lambda out, token, answer: {"token": token_path(out, answer)})
        self.compute = self._method(lambda step, place, number: {"part": place.name})

    def _method(self, facts):
        return SimpleNamespace(
            remote=lambda *arguments: FakeCall(**{"actor": self, "token": None, "part": "", **facts(*arguments)})
        )


class FakeCall(SimpleNamespace):
    """A call of an actor."""

    __hash__ = object.__hash__
