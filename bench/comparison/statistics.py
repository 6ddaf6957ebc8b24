"""Ratios of rounds, and how far two outputs are apart."""

import math


def quantile(values, share):
    """Linear between the ordered values; `share` from 0 to 1."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("a quantile: expected at least one value, got none")
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def median(values):
    return quantile(values, 0.5)


def ratios(ours, others):
    """How many times the other took what ours took, round by round: median, lower and upper quartile."""
    if len(ours) != len(others):
        raise ValueError(f"ratios: expected as many rounds on both sides, got {len(ours)} and {len(others)}")
    each = [other / our for our, other in zip(ours, others)]
    return median(each), quantile(each, 0.25), quantile(each, 0.75)


def distance(ours, others):
    """||ours - others|| / ||others||; infinite where lengths differ or a number is not finite."""
    if len(ours) != len(others) or not all(map(math.isfinite, [*ours, *others])):
        return math.inf
    length = math.sqrt(sum(x * x for x in others))
    apart = math.sqrt(sum((x - y) ** 2 for x, y in zip(ours, others)))
    return apart / length if length > 0 else (0.0 if apart == 0 else math.inf)


def largest_difference(ours, others):
    """The largest |ours - other| / |other| of any one number; infinite as in `distance`."""
    if len(ours) != len(others) or not ours or not all(map(math.isfinite, [*ours, *others])):
        return math.inf
    return max(abs(x - y) / abs(y) if y != 0 else (0.0 if x == 0 else math.inf) for x, y in zip(ours, others))
