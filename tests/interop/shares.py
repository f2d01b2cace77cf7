"""What hands do to members, by kind of client, and how far a sample may stray from theory."""
import collections
import math

# What a client takes of an answer. Addresses are octets, or of the `ipaddress` module: both sort as numbers.
KINDS = {
    "lowest": lambda hand: [min(hand)],
    "highest": lambda hand: [max(hand)],
    "first": lambda hand: [hand[0]],
    "any": list,
}
SIGMAS = 4.5   # one draw in 300,000 strays further, so with ten members and forty checks one sound run in 700, at most


def optimum(members, k):
    """The worst overload that no dealer can go below with members of equal weight."""
    return members / (members - k + 1)


def overload(taken, members, weights=None):
    """How many times its fair share the most loaded member got; `weights` by address, equal without."""
    total = sum(weights.values()) if weights else members
    return max(count * total / (weights[address] if weights else 1) for address, count in collections.Counter(taken).items()) / len(taken)


def tolerance(expected, members, draws):
    """How far above `expected` an overload may lie that comes of so many independent draws.

    With weights, `members` are as many as there would be if all had the smallest share.
    """
    share = min(expected / members, 1.0)
    return SIGMAS * members * math.sqrt(share * (1 - share) / draws)


def overloads(hands, members, weights=None):
    """The worst overload by kind of client."""
    return {kind: overload([address for hand in hands for address in take(hand)], members, weights) for kind, take in KINDS.items()}


def table(head, rows):
    """A Markdown table; numbers have two digits behind the point."""
    lines = [head, ["---"] * len(head)]
    lines += [[f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
