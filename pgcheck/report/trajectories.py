"""Trajectories and batches of them, one by one → rows."""

from collections.abc import Iterator

from pgcheck.model.mdp import MDP
from pgcheck.report.view import Column, Record
from pgcheck.report.words import model_record
from pgcheck.trajectories.batches import BatchListing
from pgcheck.trajectories.listing import ListedTrajectory, Listing

Rows = Iterator[tuple[Record, tuple[str, ...]]]


def listing_record(listing: Listing | BatchListing, seed: int) -> Record:
    """The keys of a listing, without its trajectories or batches."""
    size: Record = {"batch_size": listing.size} if isinstance(listing, BatchListing) else {}
    return {**model_record(listing.mdp), **size, **({} if listing.n is None else {"n": listing.n, "seed": seed})}


def trajectory_rows(listing: Listing) -> Rows:
    """Yields each trajectory as a record and as the cells of a table."""
    for trajectory in listing.trajectories:
        cells = f"{trajectory.measure:.6g}", f"{trajectory.value:.6g}", _in_names(listing.mdp, trajectory)
        yield {listing.measure: trajectory.measure, **_episode(trajectory)}, cells


def trajectory_columns(listing: Listing) -> tuple[Column, ...]:
    """The columns of a table of trajectories."""
    return Column(listing.measure, width=16), Column("R", width=12), Column("trajectory", right=False)


def batch_rows(listing: BatchListing) -> Rows:
    """Yields each batch as a record and as the cells of a table."""
    for batch in listing.batches:
        names = "; ".join(_in_names(listing.mdp, episode) for episode in batch.episodes)
        record = {listing.measure: batch.measure, "episodes": [_episode(episode) for episode in batch.episodes]}
        yield record, (f"{batch.measure:.6g}", names)


def batch_columns(listing: BatchListing) -> tuple[Column, ...]:
    """The columns of a table of batches."""
    return Column(listing.measure, width=16), Column("trajectories", right=False)


def _episode(trajectory: ListedTrajectory) -> Record:
    return {
        "states": trajectory.states, "actions": trajectory.actions, "rewards": trajectory.rewards,
        "terminated": trajectory.terminated,
    }  # fmt: skip


def _in_names(mdp: MDP, trajectory: ListedTrajectory) -> str:
    """A trajectory in names: s0 a0 > s1 a1 > s2."""
    pairs = zip(trajectory.states, trajectory.actions, strict=False)
    steps = [f"{mdp.states[s]} {mdp.actions[a]}" for s, a in pairs]
    return " > ".join([*steps, mdp.states[trajectory.states[-1]]])
