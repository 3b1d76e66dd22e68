"""A snapshot as a validator makes it: the real SDK's metagraph, here of a chain that is made up.

Prints what it would send to /api/v1/chain/metagraph, for each of the chains on standard input.
"""

import asyncio
import json
import sys

from bittensor import Client


class Chain:
    """As much of a chain as the SDK asks for a metagraph."""

    token_symbols = {}

    def __init__(self, graph):
        self.graph = graph

    async def connect(self):
        pass

    async def close(self):
        pass

    async def block_number(self):
        return self.graph["block"]

    async def block_hash(self, block=None):
        return hex(block or 0)

    async def spec_version(self):
        return 435

    async def runtime_call(self, api, method, params=None, block_hash=None):
        assert method == "get_metagraph", method
        return self.graph

    async def query_map(self, *args, **kwargs):
        return []


def snapshot(metagraph):
    """What the server wants to know of a metagraph."""
    return {
        "netuid": metagraph.netuid,
        "block": metagraph.block,
        "tempo": metagraph.tempo,
        "last_step": metagraph.last_step,
        "neurons": [
            {
                "uid": n.uid,
                "hotkey": n.hotkey,
                "coldkey": n.coldkey,
                "stake": n.total_stake.amount,
                "validator_permit": n.validator_permit,
                "active": n.active,
                "last_update": n.last_update,
                "block_at_registration": n.block_at_registration,
                "incentive": n.incentive,
                "consensus": n.consensus,
                "dividends": n.dividends,
                "emission": n.emission.amount,
                "axon": n.axon,
            }
            for n in metagraph.neurons
        ],
    }


async def main():
    for line in sys.stdin:
        async with Client("local", substrate=Chain(json.loads(line))) as client:
            print(json.dumps(snapshot(await client.subnets.metagraph(5))))


asyncio.run(main())
