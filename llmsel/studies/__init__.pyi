__all__ = [
    "broken",
    "promise_table",
    "wilson",
    "has_result",
    "read_result",
    "mean_interval",
    "checkpoints",
    "NEAR_BEST",
    "CODE_BENCHMARKS",
    "Anytime",
    "Auditing",
    "CELEUS",
    "CandidatesOnly",
    "Contest",
    "Desk",
    "EXACT",
    "GAP",
    "GroupSequential",
    "IDENTIFICATION",
    "LUCB",
    "Ladder",
    "Method",
    "PULSE",
    "ProxyLUCB",
    "Racing",
    "Result",
    "SequentialHalving",
    "SuccessiveRejects",
    "UCBE",
    "UCBELowRank",
    "Uniform",
    "against_all",
    "agreement",
    "all_pairs",
    "area",
    "best_pair",
    "borda",
    "by_baseline",
    "by_group",
    "calibration",
    "chance_of_best",
    "compare",
    "compete",
    "complete",
    "condorcet",
    "consensus_votes",
    "curves",
    "annotation_efficiency",
    "efficiency_view",
    "eps_grid",
    "first_stable",
    "gap_table",
    "kinds",
    "length_votes",
    "near_best",
    "noise_sweep",
    "noisy",
    "noisy_votes",
    "null_rank",
    "pair_outcomes",
    "pair_races",
    "pair_table",
    "perfect_votes",
    "random_votes",
    "read_table",
    "rebased",
    "run",
    "run_official",
    "run_votes",
    "savings",
    "score",
    "sensitivity",
    "shown_name",
    "shuffled_null",
    "shuffled_votes",
    "star_races",
    "star_winners",
    "steering",
    "stratified",
    "truth_as_judge",
    "tune_eps",
    "tune_tau",
    "gauge_course",
    "price_table",
    "two_judges",
    "verdict",
    "with_baseline",
    "write_table",
]

from .baselines import (
    EXACT,
    all_pairs,
    borda,
    by_baseline,
    condorcet,
    pair_outcomes,
    rebased,
    star_winners,
    with_baseline,
)
from .by_call import Contest, compete, complete, stratified
from .by_query import run
from .efficiency import annotation_efficiency, efficiency_view, first_stable, gap_table, savings
from .greedy import against_all
from .groups import CODE_BENCHMARKS, by_group, kinds
from .methods.anytime import Anytime, chance_of_best
from .methods.auditing import Auditing
from .methods.desk import Desk, Method
from .methods.factorised import PULSE, UCBELowRank
from .methods.guaranteed import CELEUS, ProxyLUCB
from .methods.ladder import Ladder
from .methods.looks import GroupSequential
from .methods.peers import LUCB, UCBE, SequentialHalving, SuccessiveRejects, Uniform
from .methods.racing import Racing
from .official import run_official
from .paired import area, compare, mean_interval, verdict
from .parameters import (
    CandidatesOnly,
    best_pair,
    eps_grid,
    noisy,
    sensitivity,
    steering,
    tune_eps,
    tune_tau,
)
from .promises import broken, promise_table
from .protocol import Result, checkpoints
from .scores import GAP, IDENTIFICATION, NEAR_BEST, curves, near_best, score, shown_name, wilson
from .tables import has_result, read_result, read_table, write_table
from .tournament import pair_races, pair_table, star_races
from .two_judges import gauge_course, price_table, two_judges
from .votes import (
    agreement,
    calibration,
    consensus_votes,
    length_votes,
    noise_sweep,
    noisy_votes,
    null_rank,
    perfect_votes,
    random_votes,
    run_votes,
    shuffled_null,
    shuffled_votes,
    truth_as_judge,
)
