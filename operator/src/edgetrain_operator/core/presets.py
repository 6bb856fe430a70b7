"""What a named strategy stands for: a point in the space of the other fields, and nothing else.

What a job or its runtime says beside a preset counts. Numbers are those of the sources where these name one
that fits many jobs.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edgetrain_operator.core.model import Job
from edgetrain_protocol.strategy import Grouping, MergeWeights, OuterRule, Preset, RoundPolicy

PRESETS: Mapping[Preset, Mapping[str, Any]] = {
    Preset.AUTO: {},
    Preset.DDP: {"grouping": Grouping.ALL},
    # Stich, "Local SGD converges fast and communicates little" (2019).
    Preset.LOCAL_SGD: {"grouping": Grouping.SINGLE, "local_steps": 16},
    # McMahan et al., "Communication-efficient learning of deep networks from decentralized data" (2017).
    Preset.FEDAVG: {
        "grouping": Grouping.SINGLE,
        "local_steps": 50,
        "merge_weights": MergeWeights.SAMPLES,
    },
    # Wang et al., "Tackling the objective inconsistency problem in heterogeneous federated optimization",
    # 2020.
    Preset.FEDNOVA: {
        "grouping": Grouping.SINGLE,
        "local_steps": 50,
        "merge_weights": MergeWeights.FED_NOVA,
    },
    # Li et al., "Federated optimization in heterogeneous networks" (2020): the middle of what they tried.
    Preset.FEDPROX: {
        "grouping": Grouping.SINGLE,
        "local_steps": 50,
        "merge_weights": MergeWeights.SAMPLES,
        "proximal": 0.01,
    },
    # Douillard et al., "DiLoCo: distributed low-communication training of language models" (2023).
    Preset.DILOCO: {"grouping": Grouping.SINGLE, "local_steps": 500, "outer": OuterRule.NESTEROV},
    # Liu et al., "Asynchronous local-SGD training for language modeling" (2024).
    Preset.ASYNC: {
        "grouping": Grouping.SINGLE,
        "local_steps": 50,
        "round_policy": RoundPolicy.STALENESS,
        "round_limit": 8,
        "outer": OuterRule.DELAYED_NESTEROV,
    },
    # Dutta et al., "Slow and stale gradients can win the race" (2018), with local steps.
    Preset.N_SYNC: {"grouping": Grouping.SINGLE, "round_policy": RoundPolicy.GROUPS},
    Preset.N_BATCH_SYNC: {"grouping": Grouping.SINGLE, "round_policy": RoundPolicy.STEPS},
}


def with_preset(job: Job) -> Job:
    """The job with what its preset stands for, where nothing else is said."""
    strategy = job.spec.strategy
    said = strategy.model_fields_set
    if "round_policy" in said:
        # A limit means nothing without its policy.
        said = said | {"round_limit"}
    more = {field: value for field, value in PRESETS[strategy.preset].items() if field not in said}
    if not more:
        return job
    return replace(job, spec=job.spec.model_copy(update={"strategy": strategy.model_copy(update=more)}))
