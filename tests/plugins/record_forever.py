"""Started by test_episode_writer: appends synthetic episodes to the dataset at argv[1] until it is killed."""

import sys
from pathlib import Path

from test_episode_writer import episode, open_writer

if __name__ == "__main__":
    writer = open_writer(Path(sys.argv[1]), resume=True)
    while True:
        writer.save(episode(writer.num_episodes), "task")
        sys.stdout.write(f"{writer.num_episodes}\n")
        sys.stdout.flush()
