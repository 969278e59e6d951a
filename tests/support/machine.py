"""The random machine: a run of the World in which chance decides what happens to combine and merge."""

from __future__ import annotations

import random
from typing import Any

from world import SECOND, Died, Partition, World

MOST = 5
"""Partitions of the calls."""
LAGS = [0, 0, 0, 1, 3, 6, 9, 15, 40, -4, -30, -90]


def produce(world: World, rnd: random.Random, partition: Partition) -> None:
    for _ in range(rnd.randint(1, 5)):
        gap, lag = rnd.choice([0, 0, 1, 1, 2, 5, 25]), rnd.choice(LAGS)
        world.produce(partition, gap * SECOND, lag * SECOND, rnd.choice(["a", "b", "c", "d", ""]))
    if rnd.randint(0, 2) == 0:
        world.produce_again(partition, rnd.choice([0, 0, 3, 8, 20]))
    if rnd.randint(0, 2) == 0:
        world.produce_twin(
            partition, rnd.choice([0, 0, 1, 3, 8]), rnd.choice([-1_000, 0, 200, 3_000, 9_000]) * 1_000
        )


def take(world: World, rnd: random.Random, partition: Partition) -> None:
    world.take(partition, partition.worker, rnd.randint(1, 6), rnd.choice([1, 1, 1, 1, 1, 0.5, 0]))


def flush(world: World, rnd: random.Random, partition: Partition) -> None:
    worker = partition.worker
    world.give(worker, worker.stage.flush(), rnd.choice([1, 1, 1, 0.5]))


def zombie(world: World, rnd: random.Random, partition: Partition) -> None:
    world.zombie(partition, rnd.randint(0, 7), rnd.randint(0, 4), acknowledged=rnd.choice([True, False]))


def grow(world: World, rnd: random.Random, partition: Partition) -> None:
    """Its calls begin with the world's or where another partition is now; its worker's metadata may be old."""
    start = rnd.choice([partition.start, *(event.kafka for event in partition.events[-1:])])
    count = len(world.partitions)
    if count < MOST:
        world.grow(start, rnd.choice([count + 1, count, 1]))


COMBINE = {
    produce: 18,
    grow: 1,
    lambda world, rnd, partition: world.discover(partition): 1,
    take: 20,
    flush: 10,
    zombie: 12,
    lambda world, rnd, partition: world.acknowledge(partition.worker): 6,
    lambda world, rnd, partition: world.checkpoint(partition, dies=rnd.randint(0, 4) == 0): 7,
    lambda world, rnd, partition: world.promise(
        partition, rnd.randint(1, 30) * SECOND, dies=rnd.randint(0, 2) == 0
    ): 4,
    lambda world, rnd, partition: world.crash(partition, pause=rnd.choice([True, False])): 4,
}


MERGE = {
    lambda world, rnd, shard: world.merge(shard, rnd.randint(1, 8), rnd.choice([None, 1, 1, 2, 3, 5])): 14,
    lambda world, rnd, shard: world.write(shard, rnd.randint(0, 4) / 4): 3,
    lambda world, rnd, shard: world.checkpoint_merge(shard, rnd.choice([1, 1, 1, 0.5])): 4,
    lambda world, rnd, shard: world.crash_merge(shard): 2,
}
"""What may happen, and how often."""


DECK = [what for what, times in (COMBINE | MERGE).items() for _ in range(times)]


def run(rnd: random.Random, steps: int = 250) -> World:
    """A life of a world; rnd decides everything."""
    world = World(rnd.randint(1, 3))
    for _ in range(steps):
        what = rnd.choice(DECK)
        where: Any = rnd.choice(world.partitions if what in COMBINE else world.shards)
        try:
            what(world, rnd, where)
        except Died:
            world.crash(where)
    world.finish()
    return world
