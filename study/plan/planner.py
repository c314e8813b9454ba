"""Makes the plan of a study: cuts every run into stages; equal stages have the same key and are one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from models import blending
from models.masking import center_box
from models.masks import Files, Mask
from models.method import Critic, Filler, Fitted, Method, Rate, Trained
from study.config.schema import Study, Variant
from study.data import holes
from study.data.files.masks import doubt
from study.errors import BadInput, hidden
from study.facts import DataFacts, MetricFacts, PluginFacts, StudyFacts, VariantFacts
from study.inspection import anatomy
from study.inspection.describe import describe
from study.metrics import perceptual
from study.parts import plugins, registries
from study.plan.graph import Plan, Run, Stage, json_digest
from study.plan.readings import readings, treatments
from study.plan.revision import revision

VERSIONS = {"data": 1, "pretrain": 1, "critic": 2, "joint": 2, "fit": 1, "evaluate": 3}
"""The version of each kind of stage: raise it when the same options give other numbers."""

COMPILED_FROM = 20_000
"""Steps from which on a stage is compiled, if ``numerics.compile`` is true: compiling takes minutes."""

Add = Callable[..., str]
"""Adds a stage of one run. Returns its key."""


def make_plan(study: Study, *, device: str = "cpu", share: bool = True, part: str = "test", joint: float = 1.0) -> Plan:
    """The plan of a study for a kind of device ('cpu', 'cuda').

    Args:
        share: False puts the run's name into its keys, so that runs share nothing but the packed data. For proving that
            sharing changes no result.
        part: the images to evaluate on, 'test', or 'validation' in a search.
        joint: the share of the joint stage's steps to train; a search stops poor trials early.

    Raises:
        BadInput: a data set, a mask file or a file of weights does not match the study.
    """
    planner = _Planner(study, device, part, joint)
    runs: dict[tuple[Any, ...], Run] = {}
    for data_name, data in planner.packed.items():
        for variant in study.variants_on(data_name):
            for seed in study.seeds:
                name = f"{variant.name}/{data_name}/{seed}"
                roles = planner.run(variant, data, seed, salt="" if share else name)
                identity = (data_name, seed, variant.method, *roles.values())
                if share and identity in runs:  # one run under two names
                    runs[identity].aliases.append(variant.name)
                    continue
                options = variant.options
                sizes = [network["parameters"] for network in planner.networks[variant.name]["networks"]]
                runs[identity] = Run(
                    name=name,
                    variant=variant.name,
                    data=data_name,
                    seed=seed,
                    method=variant.method,
                    stages={"data": data.key, **roles},
                    config=options.model_dump(mode="json", by_alias=True),
                    updates=options.steps.generator if isinstance(options, Trained) else 0,
                    parameters=sum(sizes[:1]),
                    critic_parameters=sum(sizes[1:]),
                )
    return Plan(study=planner.facts(share), runs=list(runs.values()), stages=planner.stages)


def _packed(study: Study) -> dict[str, Stage]:
    """The stage that packs each data set, by name. Raises BadInput with the faults of all data sets."""
    stages, faults = {}, []
    for name, options in study.data.items():
        try:
            dataset = {**options.identity(), "version": registries.version("DATASETS", options.kind)}
        except ValueError as error:
            node, (option, _, why) = study.data_nodes[name], str(error).partition(": ")
            named = node.get(option)
            faults.append(named.place.fault(why) if named else node.place.fault(str(error)))
            continue
        packing = {"dataset": dataset, "image_size": study.image_size}
        stages[name] = _stage("data", packing, {}, hints={"options": options.model_dump(mode="json")})
    if faults:
        raise BadInput(faults)
    return stages


def _masks(study: Study) -> dict[str, holes.Found]:
    """What is in each set of mask files, by the JSON of the mask's options. Raises BadInput."""
    named = {"protocol": study.protocol.mask} | {
        f"variants.{variant.name}": variant.options.mask
        for variant in study.variants.values()
        if isinstance(variant.options, Trained)
    }
    sets: dict[str, holes.Found] = {}
    faults: dict[str, str] = {}
    for place, mask in named.items():
        name = mask.model_dump_json()
        if isinstance(mask, Files) and name not in {**sets, **faults}:
            try:
                sets[name] = holes.found(mask, study.image_size)
            except ValueError as error:
                faults[name] = f"{study.file}: {place}.mask.{error}"
    if faults:
        raise BadInput(list(faults.values()))
    return sets


def _perceptual(study: Study) -> perceptual.Distances:
    """The study's perceptual distances with their weights. Raises BadInput if a file does not fit its network."""
    found, faults = perceptual.find(study.protocol.perceptual, study.image_size)
    taken = [name for name in found.options if name in registries.METRICS]
    faults += [f"{name}: a plugin's metric already has this name; rename that metric" for name in taken]
    if faults:
        raise BadInput([f"{study.file}: protocol.perceptual.{fault}" for fault in faults])
    return found


class _Planner:
    """Cuts runs into stages and adds these to ``stages``."""

    def __init__(self, study: Study, device: str, part: str, joint: float) -> None:
        self.study, self.part, self.joint = study, part, joint
        numerics = study.numerics.model_dump(mode="json", exclude={"offload"}, exclude_none=True)
        self.numerics = {"device": device, "threads": 1, **numerics}
        if study.numerics.precision == "bf16":
            self.numerics["autocast"] = "generator, critics"  # once only the generator's
        self.packed, self.masks = _packed(study), _masks(study)
        self.distances = _perceptual(study) if part == "test" else perceptual.Distances()
        self.networks = {name: describe(one.options, study.image_size) for name, one in study.variants.items()}
        self.stages = {stage.key: stage for stage in self.packed.values()}
        self.notes: dict[str, None] = {}  # sentences on mask files, in order
        self._names: dict[str, Mapping[str, Sequence[str]]] = {}
        self._pairings: dict[tuple[str, str, str], tuple[str, str]] = {}

    def facts(self, share: bool) -> StudyFacts:
        """The facts of the study."""
        study = self.study
        ours = [variant for variant in study.variants.values() if ("METHODS", variant.method) not in registries.SOURCES]

        def data_facts(stage: Stage) -> DataFacts:
            named = {key: stage.hints["options"].get(key) for key in ("like", "licence")}
            return DataFacts.model_validate({**stage.options["dataset"], "stage": stage.key, **named})

        return StudyFacts(
            name=study.name,
            file=study.file.name,
            plugins=[PluginFacts(file=str(plugin.file), digest=plugin.digest) for plugin in plugins.used()],
            metrics={
                name: MetricFacts.model_validate(metric)
                for name, metric in registries.METRICS.items()
                if ("METRICS", name) in registries.SOURCES
            },
            methods=[name for registry, name in registries.SOURCES if registry == "METHODS"],
            claims=dict(registries.CLAIMS),
            sections=list(registries.SECTIONS),
            profile=study.profile,
            seeds=study.seeds,
            image_size=study.image_size,
            data={name: data_facts(stage) for name, stage in self.packed.items()},
            protocol=study.protocol.plain()
            | ({"perceptual": self.distances.options} if self.distances.options else {}),
            numerics=self.numerics,
            shared=share,
            observers=study.described_observers(),
            ablations=study.ablations,
            multiverses=study.multiverses,
            networks={name: built for name, built in self.networks.items() if built["networks"]},
            readings=[row for variant in ours for row in readings(variant)],  # a plugin's method reads no paper of ours
            treatments=list(treatments(ours, study.image_size)),
            left_out={
                name: VariantFacts(method=one.method, options=one.options.model_dump(mode="json", by_alias=True))
                for name, one in study.left_out.items()
            },
            left_out_seeds=study.left_out_seeds,
            notes=list(self.notes),
            resolved=hidden(study.resolved),
            git=revision(study.file.parent),
        )

    def holes(self, mask: Mask, data: Stage, part: str, place: str) -> tuple[dict[str, Any], dict[str, str]]:
        """A mask in a stage's options, and in its needs if the masks are packed from files.

        Args:
            part: the images of a data set that get the holes.
            place: where the study file names the mask. Raises BadInput if it cannot be paired as it says.
        """
        if not isinstance(mask, Files):
            return {**mask.model_dump(mode="json"), "version": registries.version("MASKS", mask.kind)}, {}
        found, asked = self.masks[mask.model_dump_json()], (mask.model_dump_json(), data.key, part)
        if asked not in self._pairings:
            try:
                self._pairings[asked] = found.paired(mask, self.names(data).get(part))
            except ValueError as error:
                raise BadInput(f"{self.study.file}: {place}.mask.{error}") from error
        pairing, how = self._pairings[asked]
        named = {"pairing": pairing} if pairing == "by_name" else {}  # packed with the names of the masks
        options = {"masks": found.identity | named, "image_size": self.study.image_size}
        stage = _stage("data", options, {}, hints={"options": {**mask.model_dump(), "pairing": pairing}})
        self.stages[stage.key] = stage
        name = next(name for name, one in self.packed.items() if one.key == data.key)
        said = [f"{place}.mask: {len(found.names)} masks; on average {found.share:.0%} of an image is hole"]
        said += [f"{place}.mask: {note}" for note in found.notes]
        said += [f"{place}.mask: {part} images of {name}: {how}"]
        if why := doubt(found.share, mask.hole, f"set {place}.mask.hole to"):
            said.append(f"warning: {place}.mask: {why}")
        self.notes |= dict.fromkeys(said)
        return {"kind": mask.kind} | ({"pairing": pairing} if pairing != "drawn" else {}), {"masks": stage.key}

    def names(self, data: Stage) -> Mapping[str, Sequence[str]]:
        """The names of a data set's images by part; empty where only packing tells."""
        if data.key not in self._names:
            name = next(name for name, one in self.packed.items() if one.key == data.key)
            self._names[data.key] = self.study.data[name].names() or {}
        return self._names[data.key]

    def add(self, kind: str, options: dict[str, Any], needs: dict[str, str], *, data: Stage, **more: Any) -> str:
        """Adds a stage that trains or evaluates, and returns its key."""
        if self.study.numerics.offload:
            more["hints"] = {"offload": True, **more.get("hints", {})}
        numerics = dict(self.numerics)
        if options.get("steps", 0) < COMPILED_FROM:
            numerics.pop("compile", None)
        stage = _stage(kind, {**options, "numerics": numerics}, {"data": data.key, **needs}, **more)
        self.stages[stage.key] = stage
        return stage.key

    def run(self, variant: Variant, data: Stage, seed: int, salt: str) -> dict[str, str]:
        """The keys of a run's stages by role, in order."""
        options, add = variant.options, partial(self.add, data=data, seed=seed, salt=salt)
        if isinstance(options, Filler):
            versions = {options.filler: registries.version("FILLERS", options.filler)}
            filler = {"filler": options.filler, "images": options.images, "versions": versions}
            return self.evaluated(add, filler, {}, data, seed=None)
        method = options.method(self.study.image_size)
        roles = self.trained(add, variant, method, data)
        *_, last = roles.values()
        versions = _versions(method.generator, {})
        model = {"generator": method.generator, "fill": method.fill, "versions": versions}
        images = data.options["dataset"].get(self.part, 0)
        forward = anatomy.of_generator(method.generator, self.study.image_size).macs
        work = images * forward if isinstance(images, int) else 0
        return roles | self.evaluated(add, model, {"model": last}, data, work=work)

    def evaluated(
        self, add: Add, model: dict[str, Any], needs: dict[str, str], data: Stage, **more: Any
    ) -> dict[str, str]:
        """The stage that evaluates a model under the protocol, after the one that packs the protocol's mask files."""
        mask, masks = self.holes(self.study.protocol.mask, data, self.part, "protocol")
        protocol = {**self.study.protocol.plain(), "mask": mask}
        metrics = {name: registries.version("METRICS", name) for name in registries.METRICS}
        metrics["blended"] = blending.version(mask["kind"])
        options = {**model, "protocol": protocol, "metrics": metrics}
        if self.part != "test":
            options["part"] = self.part
        if self.distances.options:
            options["perceptual"] = self.distances.options
            options["metrics"] = metrics | {name: perceptual.VERSIONS[name] for name in self.distances.options}
            more["hints"] = {"perceptual": self.distances.files}
        packed = {f"data.test_{name}": key for name, key in masks.items()}
        return packed | {"evaluate": add("evaluate", options, {**needs, **masks}, **more)}

    def trained(self, add: Add, variant: Variant, method: Method, data: Stage) -> dict[str, str]:
        """The training stages: pretrain, one per critic and joint (section 4), or some of them, or fit."""
        name, options = variant.method, variant.options
        assert isinstance(options, Trained)
        size, batch, steps = self.study.image_size, options.batch, options.steps
        mask, masks = self.holes(options.mask, data, "train", f"variants.{variant.name}")
        roles = {f"data.{role}": key for role, key in masks.items()}
        common = {"fill": method.fill, "generator": method.generator, "mask": mask}
        common |= {name: getattr(options, name) for name in ("batch", "flips", "log_every")}
        versions = _versions(method.generator, {})
        if "fit" in method.stages:
            assert isinstance(options, Fitted)
            fit = {
                **common,
                "method": name,
                "described": options.model_dump(mode="json", by_alias=True, exclude={"mask"}),  # batches have the holes
                "steps": steps.generator,
                "first_update": 0,
                "versions": {f"method.{name}": registries.version("METHODS", name), **versions},
            }
            macs = 3 * anatomy.of_generator(method.generator, size).macs
            return {**roles, "fit": add("fit", fit, masks, work=macs * batch * steps.generator)}

        def forward(critics: Iterable[Critic] = (), learns: bool = True) -> int:
            """Multiply-accumulates of G's forward pass, of the hole's window only if nothing reads the rest."""
            whole = options.mask.kind != "center" or any(critic.sees == "raw" for critic in critics)
            whole = whole or (learns and method.reconstruction.known is not None)
            return anatomy.of_generator(method.generator, size, None if whole else center_box(size), learns).macs

        def generator_options(stage: str) -> dict[str, Any]:
            rate = method.rates.get(stage) or Rate(lr=method.optimizer.lr)
            parts = {"reconstruction": method.reconstruction, "optimizer": method.optimizer, "rate": rate}
            return {"init_std": method.init_std, **{key: part.model_dump(mode="json") for key, part in parts.items()}}

        needs, updates = dict(masks), 0
        if "pretrain" in method.stages:
            updates = steps.pretrain
            pretrain = {"steps": updates, "first_update": 0, "versions": versions}
            pretrain |= common | generator_options("pretrain")
            roles["pretrain"] = add("pretrain", pretrain, masks, work=3 * forward() * batch * updates)
            needs["generator"] = roles["pretrain"]
        critic_macs = {role: anatomy.of_critic(critic.network, size).macs for role, critic in method.critics.items()}
        for role, critic in method.critics.items() if "critic" in method.stages else ():
            images = batch * steps.critic * critic.recipe.critic_steps
            train = {
                **common,
                "role": role,  # without what only the generator's step reads:
                "critic": critic.model_dump(mode="json", exclude={"weight": True, "recipe": {"form"}}),
                "critic_steps": critic.recipe.critic_steps,
                "steps": steps.critic,
                "versions": _versions(method.generator, {role: critic}),
            }
            work, shared = _update(critic) * critic_macs[role] * images, forward([critic], learns=False) * images
            key = add("critic", train, {**masks, "generator": roles["pretrain"]}, work=work, forward=shared)
            roles[f"critic.{role}"] = needs[f"critic.{role}"] = key
        rounds = max((critic.recipe.critic_steps for critic in method.critics.values()), default=1)
        macs = (2 + rounds) * forward(method.critics.values()) + sum(
            (_update(critic) * critic.recipe.critic_steps + 2) * critic_macs[role]
            for role, critic in method.critics.items()
        )
        last = steps.generator - updates
        if self.joint < 1:  # whole logging intervals, so that a longer stage can continue from it
            last = min(last, options.log_every * max(1, round(self.joint * last / options.log_every)))
        joint = {
            **common,
            **generator_options("joint"),
            "critics": {role: critic.model_dump(mode="json") for role, critic in method.critics.items()},
            "adversarial_share": method.adversarial_share,
            "critic_steps": rounds,
            "steps": last,
            "first_update": updates,
            "versions": _versions(method.generator, method.critics),
        }
        return {**roles, "joint": add("joint", joint, needs, work=macs * batch * last)}


def _update(critic: Critic) -> int:
    """The cost of a critic's update in forward passes: 3 each for real and fake images, 6 more with a penalty."""
    return 6 if critic.recipe.penalty is None else 12


def _versions(generator: dict[str, Any], critics: Mapping[str, Critic]) -> dict[str, int | str]:
    versions = {f"generator.{generator['kind']}": registries.version("GENERATORS", generator["kind"])}
    for critic in critics.values():
        kind, loss = critic.network["kind"], critic.recipe.kind
        versions[f"critic.{kind}"] = registries.version("CRITICS", kind)
        versions[f"loss.{loss}"] = registries.version("LOSSES", loss)
    return versions


def _stage(
    kind: str,
    options: dict[str, Any],
    needs: dict[str, str],
    *,
    seed: int | None = None,
    salt: str = "",
    hints: dict[str, Any] | None = None,
    **costs: int,
) -> Stage:
    lean = _lean(options)
    hashed = {"kind": kind, "version": VERSIONS[kind], "options": lean, "needs": needs, "seed": seed}
    hints = dict(hints or {})
    if salt:
        hashed["salt"] = hints["salt"] = salt
    lineage = None
    rate, steps = options.get("rate"), options.get("steps")
    constant = kind != "fit" and (rate is None or Rate.model_validate(rate).constant)
    if constant and steps and steps % options["log_every"] == 0:
        shorter = {name: value for name, value in lean.items() if name != "steps"}
        lineage = json_digest({**hashed, "options": shorter})
    key = f"{kind}-{json_digest(hashed)}"
    return Stage(key=key, kind=kind, options=options, needs=needs, seed=seed, hints=hints, lineage=lineage, **costs)


def _lean(value: Any) -> Any:
    """The options that are set, so that a new option that is not used leaves existing keys unchanged."""
    if isinstance(value, dict):
        return {key: _lean(entry) for key, entry in value.items() if entry is not None}
    return value
