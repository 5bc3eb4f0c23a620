"""`neuraltouch pretrained`."""

from lerobot_policy_neuraltouch.shipped import shipped_path


def main() -> None:
    """Print the path of the shipped policy checkpoint, for --policy.path."""
    print(shipped_path())
