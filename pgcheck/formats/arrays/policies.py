"""The policies in a .npz file: preferences, or weights and features."""

from pgcheck.formats.arrays.taken import Arrays, shape_text
from pgcheck.formats.given import GivenPolicy

POLICIES = ("policy", "behavior", "reference")
PARTS = ("softmax", "weights", "names", "features")
POLICY_ARRAYS = tuple(f"{policy}_{part}" for policy in POLICIES for part in PARTS)


def given_policies(arrays: Arrays, states: int, actions: int) -> dict[str, GivenPolicy]:
    """Returns the policies that a file has, by `policy`, `behavior` and `reference`; faults are noted.

    Args:
      arrays: of the file.
      states, actions: how many there are.
    """
    policies = {}
    for name in POLICIES:
        softmax, weights, names, features = (f"{name}_{part}" for part in PARTS)
        linear = [part for part in (weights, names, features) if part in arrays]
        if softmax in arrays and linear:
            arrays.problems.add(0, 0, f"both {softmax} and {linear[0]}; keep one policy")
        elif softmax in arrays:
            _check_shape(arrays, softmax, (states, actions))
            policies[name] = GivenPolicy(arrays.floats(softmax))
        elif linear:
            missing = [part for part in (weights, features) if part not in arrays]
            if missing:
                arrays.problems.add(0, 0, f"{' and '.join(missing)} missing beside {linear[0]}")
                continue
            size = (arrays.shape(weights) or (0,))[0]
            _check_shape(arrays, weights, (size,))
            _check_shape(arrays, features, (states, actions, size))
            words = [str(number) for number in range(size)]
            if names in arrays:
                _check_shape(arrays, names, (size,))
                words = arrays.texts(names)
            policies[name] = GivenPolicy(arrays.floats(features), arrays.floats(weights), tuple(words))
    return policies


def _check_shape(arrays: Arrays, name: str, shape: tuple[int, ...]) -> None:
    if arrays.shape(name) != shape:
        found = shape_text(arrays.shape(name))
        arrays.problems.add(0, 0, f"{name}: shape {found}; expected {shape_text(shape)}")
