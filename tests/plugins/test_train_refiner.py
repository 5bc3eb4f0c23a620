"""Online training of the refiner: what the parts see, what is kept, and the command from beginning to resumption."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lerobot.common.wandb_utils import WandBLogger
from lerobot.configs.default import WandBConfig

from lerobot_neuraltouch import se3
from lerobot_neuraltouch.rl.imitation import TouchAugmentation
from lerobot_neuraltouch.rl.privileged import PRIVILEGED_SIZE
from lerobot_neuraltouch.rl.replay import Replay, Segment
from lerobot_neuraltouch.rl.symmetry import MIRROR
from lerobot_policy_neuraltouch.bench.sample_efficiency import LEARNING_CURVE
from lerobot_policy_neuraltouch.modeling_neuraltouch import NeuralTouchPolicy
from lerobot_policy_neuraltouch.shipped import shipped_path
from lerobot_policy_neuraltouch.training.online import contacts, trainer
from lerobot_policy_neuraltouch.training.online.contacts import ContactBank
from lerobot_policy_neuraltouch.training.online.learner import Learner
from lerobot_policy_neuraltouch.training.online.player import Player
from lerobot_policy_neuraltouch.training.online.settings import (
    ASTRAY,
    LearnSettings,
    NetworkSettings,
    PlaySettings,
    Stage,
    TrainRefinerConfig,
)
from lerobot_policy_neuraltouch.training.online.trainer import train
from lerobot_policy_neuraltouch.training.student import Student
from tests.plugins.policy_world import BOLT, LID, RIM, WALL, small_policy, write_checkpoint

SMALL = {"pooling": 4, "channels": [4, 8], "history_length": 2}


def filled_memory(steps: int = 40) -> Replay:
    """A memory in which the left picture's brightness asks for the first action's value and tells the way along x; both fingers touch."""
    memory, rng = Replay(400, 64), np.random.default_rng(0)
    for number in range(6):
        level = rng.uniform(-1, 1, steps + 1).astype(np.float32)
        pictures = np.broadcast_to(
            (127 + 100 * level)[:, None, None].astype(np.uint8), (steps + 1, 64, 64)
        )
        label = np.zeros((steps, 7), np.float32)
        label[:, 0] = 0.5 * level[:-1]
        truth = rng.normal(size=(steps + 1, PRIVILEGED_SIZE)).astype(np.float32)
        truth[:, :6], truth[:, 0], truth[:, 12:14] = 0.0, level, 1.0
        memory.add(
            Segment(
                contact=number % 2,
                left=pictures,
                right=pictures,
                state=np.zeros((steps + 1, 7), np.float32),
                privileged=truth,
                action=rng.uniform(-1, 1, (steps, 7)).astype(np.float32),
                label=label,
                reward=-rng.random(steps).astype(np.float32),
            )
        )
    return memory


def learner(**changes: Any) -> Learner:
    torch.manual_seed(0)
    settings = LearnSettings(batch_size=32, critic_hidden=16, **changes)
    policy = small_policy(**SMALL)
    bank = ContactBank(policy.skills.all(), policy.field, beside=4, seed=0)
    return Learner(policy, filled_memory(), bank, settings, seed=0)


def test_imitation_learns_what_the_teacher_shows() -> None:
    # This teacher looks at brightness, which a mirror does not change.
    trained = learner(imitation_only=1.0, average=0.9, history_dropout=0.0, symmetry=False)
    errors = [trained.learn(0.0)["imitation"] for _ in range(150)]
    assert np.mean(errors[-10:]) < 0.3 * np.mean(errors[:5])


def test_steps_are_learned_mirrored_as_well_pictures_and_labels_alike() -> None:
    """Where the left half is bright the teacher goes to one side; in the mirror both are the other way round."""
    trained = learner(augmentation=TouchAugmentation(gain=0.0, shift_px=0.0, yaw_rad=0.0))
    memory = trained.memory
    memory._left[:, :, :32], memory._left[:, :, 32:] = 200, 0
    memory._label[:, 0] = 0.5
    memory._contact[:] = 0  # the rim: fingers keep their sides
    batch = next(trained._batches(successors=False))
    brighter_right = batch["state"]["left"][..., 32:].mean((1, 2, 3)) > 0.3
    assert 4 < int(brighter_right.sum()) < 28
    torch.testing.assert_close(batch["label"][:, 0], torch.where(brighter_right, -0.5, 0.5))


def test_new_steps_tell_what_was_learned_by_heart() -> None:
    """Learned from one thing, asked about another: the error on new steps shows it."""
    trained = learner(imitation_only=1.0, average=0.9, symmetry=False)
    for _ in range(150):
        trained.learn(0.0)
    everything, newest = len(trained.memory), 41
    learned = trained.look_at_new(everything)["new"]
    trained.memory._privileged[everything - newest : everything, 0] *= -1.0
    assert trained.look_at_new(newest)["new"] > 3 * learned


def test_the_saved_refiner_is_the_mean_of_the_trained_ones() -> None:
    trained = learner(imitation_only=1.0, average=0.9)
    seen = []
    for _ in range(3):
        trained.learn(0.0)
        seen.append(trained.policy.refiner.action.weight.detach().clone())
    # kept shares 0, 1/11 and 2/12, by hand
    mean = seen[0].lerp(seen[1], 10 / 11).lerp(seen[2], 10 / 12)
    torch.testing.assert_close(dict(trained.weights()["refiner"])["action.weight"], mean)


def test_critics_see_the_truth_and_no_pictures_and_the_actor_the_reverse() -> None:
    algorithm = learner().algorithm
    batch = next(learner()._batches(successors=True))["state"]
    for tensor in batch.values():
        if tensor.is_floating_point():
            tensor.requires_grad_()
    algorithm._critic_forward(batch, torch.zeros(32, 7)).sum().backward()
    assert batch["privileged"].grad is not None and batch["left"].grad is None
    batch["privileged"].grad = None
    algorithm.actor(batch)[0].sum().backward()
    assert batch["privileged"].grad is None and batch["left"].grad is not None


def test_critics_are_heard_only_after_they_have_learned() -> None:
    trained = learner(imitation_only=0.5)
    critic = trained.algorithm.critic_ensemble.critics[0].output_layer.weight
    before = critic.detach().clone()
    trained.learn(0.4)
    torch.testing.assert_close(critic, before, rtol=0, atol=0)
    trained.learn(0.52)
    assert trained.algorithm.reinforcement == 0.0 and not torch.equal(critic, before)
    trained.learn(0.575)
    assert trained.algorithm.reinforcement == pytest.approx(0.5 * trained.settings.reinforcement)


def test_critics_value_what_the_reward_says() -> None:
    """With a reward of -1 per step for ever, everything is worth -1 / (1 - 0.5) = -2."""
    trained = learner(imitation_only=0.0, discount=0.5, critic_lr=3e-3)
    trained.memory._reward[:] = -1.0
    trained.algorithm.log_alpha.data.fill_(-20.0)
    for _ in range(300):
        trained.learn(0.01)
    batch = next(trained._batches(successors=True))
    value = trained.algorithm._critic_forward(batch["state"], batch["action"])
    np.testing.assert_allclose(value.detach().numpy(), -2.0, atol=0.3)


def test_a_learner_goes_on_where_it_was_saved(tmp_path: Path) -> None:
    trained = learner(imitation_only=0.2)
    for progress in (0.1, 0.3, 0.6):
        trained.learn(progress)
    trained.save(tmp_path, {"env_steps": 120})
    again = learner(imitation_only=0.2)
    assert again.load(tmp_path)["env_steps"] == 120 and again.updates == 3
    for part in ("actor", "critic_ensemble", "critic_target"):
        old = getattr(trained.algorithm, part).state_dict()
        for name, value in getattr(again.algorithm, part).state_dict().items():
            torch.testing.assert_close(value, old[name], rtol=0, atol=0)
    moments = again.algorithm.optimizers["actor"].state_dict()["state"]
    assert max(int(state["step"]) for state in moments.values()) == 3


def config(folder: Path, **changes: Any) -> TrainRefinerConfig:
    """A training of seconds: two tasks, one environment each."""
    settings: dict[str, Any] = {
        "policy": str(folder / "policy"),
        "output": folder / "training",
        "rollout": "inline",
        "env_steps": 80,
        "teacher_steps": 40,
        "chunk": 20,
        "capacity": 400,
        "eval_every": 1000,
        "eval_episodes": 0,
        "play": PlaySettings(task="RefineMugRim,RefineBottleHead", envs_per_task=1, num_objects=1),
        "learn": LearnSettings(batch_size=8, updates_per_step=0.1, imitation_only=0.5),
        "network": NetworkSettings(**SMALL, hidden_size=16, touch_features=8),
    }
    return TrainRefinerConfig(**(settings | changes))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_training_gives_a_policy_that_acts_and_goes_on(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "policy")
    last = train(config(tmp_path))
    policy = Student(last).policy
    assert policy.config.pooling == 4 and policy.config.history_length == 2
    with pytest.raises(ValueError, match="--resume=true goes on with it"):
        train(config(tmp_path))
    changed = config(tmp_path, env_steps=160, resume=True)
    train(changed)
    counters = (last.parent / "training_state" / "counters.json").read_text()
    assert '"env_steps": 160' in counters and '"starts": 2' in counters
    assert '"updates": 16' in counters


def test_a_wanted_contact_that_changes_begins_a_segment_of_another_skill(tmp_path: Path) -> None:
    """No segment has a step in which the truth jumps from one contact's to another's."""
    write_checkpoint(tmp_path / "policy", tasks=(RIM, WALL))
    settings = PlaySettings(
        task="RefineMugRim",
        switch="mug_rim>mug_wall>mug_rim",
        envs_per_task=1,
        num_objects=1,
        beside_share=0.0,
    )
    player = Player(tmp_path / "policy", settings, seed=0, worker=0)
    segments = player.play(150, Stage(teacher_share=1.0)).segments
    player.close()
    assert {segment.contact for segment in segments} == {0, 1}
    errors = [segment.privileged[:, :3] for segment in segments]  # in units of 10 mm
    assert max(np.abs(np.diff(error, axis=0)).max() for error in errors if len(error) > 1) < 0.3
    assert all(len(s.left) == len(s.reward) + 1 == len(s.label) + 1 for s in segments)


def test_contacts_beside_a_skills_own_have_descriptors_of_their_own() -> None:
    policy = small_policy(tasks=(RIM, WALL, LID))
    skills = policy.skills.all()
    bank = ContactBank(skills, policy.field, beside=4, seed=0)
    assert [len(bank.beside(number)) for number in range(3)] == [
        4,
        0,
        4,
    ]  # a wall has no room for any
    for number, skill in enumerate(skills):
        torch.testing.assert_close(bank.descriptors[number], skill.descriptors.flatten(1))
    for number in bank.beside(0) + bank.beside(2):
        contact = bank.contacts[number]
        twin = bank.contacts[contact.mirrored]
        np.testing.assert_allclose(twin.offset, contact.offset * MIRROR)
        assert twin.mirrored == number and twin.skill == contact.skill
        assert not torch.allclose(bank.descriptors[number], bank.descriptors[contact.skill])
        assert not bank.exchangeable[number]  # both are tilted
    assert bank.exchangeable[:3].tolist() == [False, False, True]
    again = ContactBank(skills, policy.field, beside=4, seed=0)
    torch.testing.assert_close(again.descriptors, bank.descriptors)


def test_the_descriptor_of_no_offset_is_the_demonstrated_one() -> None:
    """On the shipped skills, whose descriptors were taken at the demonstrated poses when they were made."""
    policy = NeuralTouchPolicy.from_pretrained(shipped_path())
    for skill in policy.skills.all():
        tiny = np.array([0.0, 0.0, 1e-7, 0.0, 0.0, 0.0])
        own = skill.descriptors[1:].flatten(1)
        again = contacts._descriptors(skill, policy.field, tiny)
        assert (again - own).abs().max() < 0.02 * own.abs().max()


def test_players_want_contacts_beside_the_skills_own(tmp_path: Path) -> None:
    """What is learned from is numbered by the contact that was wanted, and prompted by its descriptor."""
    write_checkpoint(tmp_path / "policy")
    settings = PlaySettings(task="RefineMugRim", envs_per_task=2, num_objects=1, beside_share=1.0)
    player = Player(tmp_path / "policy", settings, seed=0, worker=0)
    segments = player.play(60, Stage(teacher_share=1.0)).segments
    bank = player._bank
    for slot in player._slots:
        assert slot.contact in bank.beside(0)
        assert any(torch.equal(slot.prompt, shown) for shown in bank.descriptors[slot.contact])
        own = slot.env.unwrapped.piece.feature.poses
        wanted = slot.env.unwrapped.wanted.poses
        np.testing.assert_allclose(wanted, own @ se3.exp(bank.contacts[slot.contact].offset))
    player.close()
    assert segments and {segment.contact for segment in segments} <= set(bank.beside(0))


def test_where_the_fingers_have_no_room_beside_a_contact_its_own_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoint(tmp_path / "policy")
    settings = PlaySettings(task="RefineMugRim", envs_per_task=1, num_objects=1, beside_share=1.0)
    player = Player(tmp_path / "policy", settings, seed=0, worker=0)
    env = player._slots[0].env.unwrapped
    reset = type(env).reset

    def narrow(self, *, seed=None, options=None):
        if "contact_offset" in options:
            raise RuntimeError("No perturbed start.")
        return reset(self, seed=seed, options=options)

    monkeypatch.setattr(type(env), "reset", narrow)
    player.play(2, Stage())
    assert player._slots[0].contact == 0
    assert env.wanted is env.piece.feature
    player.close()


def test_a_mirrored_step_is_about_the_mirrored_contact() -> None:
    trained = learner(descriptor_noise=0.0)
    bank = trained._bank
    tilted = bank.beside(0)[0]
    trained.memory._contact[:] = tilted
    twin = bank.contacts[tilted].mirrored
    batch = next(trained._batches(successors=False))["state"]["descriptor"]
    shown = {
        n: (batch[:, None] - bank.descriptors[n]).abs().amax(-1).amin(-1) < 1e-5
        for n in (tilted, twin)
    }
    assert (shown[tilted] ^ shown[twin]).all()
    assert 4 < int(shown[twin].sum()) < 28


def test_the_curriculum_grows_linearly_and_the_teachers_share_falls() -> None:
    course = TrainRefinerConfig(
        start_share=0.2, start_share_steps=1000, teacher_steps=400, teacher_share=0.1
    )
    seen = [course.stage(steps) for steps in (0, 200, 500, 1000, 5000)]
    np.testing.assert_allclose([s.start_share for s in seen], [0.2, 0.36, 0.6, 1.0, 1.0])
    np.testing.assert_allclose([s.teacher_share for s in seen], [1.0, 0.5, 0.1, 0.1, 0.1])
    assert {TrainRefinerConfig().stage(steps).start_share for steps in (0, 10**6)} == {1.0}
    assert TrainRefinerConfig(teacher_steps=0, teacher_share=0.0).stage(0).teacher_share == 0.0


def test_players_begin_as_far_off_as_the_stage_says(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "policy")
    settings = PlaySettings(task="RefineMugRim", envs_per_task=4, num_objects=1)
    player = Player(tmp_path / "policy", settings, seed=0, worker=0)
    player.play(1, Stage(start_share=0.1))
    errors = [slot.info["pos_error_m"] for slot in player._slots]
    player.close()
    assert max(errors) < 0.1 * 0.020 + 1e-3  # a step moves by at most 1 mm


def test_some_hands_are_led_astray(tmp_path: Path) -> None:
    """All of them where asked for, as far as `ASTRAY` at most."""
    write_checkpoint(tmp_path / "policy", [RIM])
    settings = PlaySettings(task="RefineMugRim", envs_per_task=6, num_objects=1, astray_share=1.0)
    player = Player(tmp_path / "policy", settings, seed=0, worker=0)
    player.play(1, Stage())
    asides = np.abs([slot.aside for slot in player._slots])
    player.close()
    assert (asides.max(1) > 0.0).all()
    assert (asides <= ASTRAY).all() and (asides.max(0) > 0.3 * ASTRAY).all()


def test_starts_at_hexagons_are_turned_and_taken_plain_where_there_is_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoint(tmp_path / "policy", [BOLT])
    settings = PlaySettings(task="RefineBoltHead", envs_per_task=1, num_objects=1, beside_share=0.0)
    player = Player(tmp_path / "policy", settings, seed=0, worker=0)
    env = player._slots[0].env.unwrapped
    reset, turns = type(env).reset, []

    def narrow(self, *, seed=None, options=None):
        turns.append(options.get("start_turn"))
        if turns[-1] is not None:
            raise RuntimeError("No perturbed start.")
        return reset(self, seed=seed, options=options)

    monkeypatch.setattr(type(env), "reset", narrow)
    player.play(1, Stage())
    player.close()
    assert len(turns) == 2 and 0.0 < abs(turns[0]) <= settings.turn_rad and turns[1] is None


def test_a_training_is_logged_to_weights_and_biases_offline_and_a_resumed_one_to_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setattr(trainer, "_LOG_EVERY_S", 0.0)
    write_checkpoint(tmp_path / "policy")
    logged: list[tuple[int, set[str]]] = []
    settings = WandBConfig(enable=True, mode="offline", disable_artifact=True)

    def note(self: WandBLogger, row: dict, step: int, mode: str) -> None:
        logged.append((step, {f"{mode}/{name}" for name in row}))
        log(self, row, step, mode)

    log = WandBLogger.log_dict
    monkeypatch.setattr(WandBLogger, "log_dict", note)
    train(config(tmp_path, wandb=settings))
    run = wandb.run
    assert run is not None and run.project == "lerobot" and run.config["env_steps"] == 80
    names = set().union(*(found for _, found in logged))
    assert {"train/imitation", "train/success", "train/teacher_share"} <= names
    wandb.finish()
    assert list((tmp_path / "training" / "wandb").glob("offline-run-*/run-*.wandb"))
    train(config(tmp_path, wandb=settings, env_steps=120, resume=True))
    assert wandb.run.id == run.id
    wandb.finish()
    assert [step for step, _ in logged] == sorted(step for step, _ in logged)


def test_what_cannot_be_trained_is_explained(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "policy")
    with pytest.raises(ValueError, match="no skill for 'Grasp the bolt by its head'"):
        train(config(tmp_path, play=PlaySettings(task="RefineBoltHead")))
    with pytest.raises(ValueError, match="no skill for 'Grasp the mug by its wall'"):
        play = PlaySettings(task="RefineMugRim", switch="mug_rim>mug_wall")
        train(config(tmp_path, play=play))
    with pytest.raises(ValueError, match="no training to resume"):
        train(config(tmp_path, resume=True))
    with pytest.raises(ValueError, match="is no policy checkpoint"):
        train(config(tmp_path, policy=str(tmp_path / "nothing")))
    with pytest.raises(
        ValueError, match="Unknown rollout 'cloud'. Available: inline, process, ray"
    ):
        config(tmp_path, rollout="cloud")
    with pytest.raises(ValueError, match="its sizes cannot be set by --network"):
        train(config(tmp_path, keep_refiner=True))
    with pytest.raises(ValueError, match="play.memory is for imitation alone"):
        config(tmp_path, play=PlaySettings(memory=True))
    with pytest.raises(ValueError, match="Unknown fingers 'none'. Available: both, left, right"):
        NetworkSettings(fingers="none")
    with pytest.raises(ValueError, match="history_length must be at least 1"):
        NetworkSettings(history_length=0)
    with pytest.raises(ValueError, match="Unknown wandb.mode 'ofline'. Available: online, offline"):
        config(tmp_path, wandb=WandBConfig(enable=True, mode="ofline"))
    with pytest.raises(ValueError, match=r"start_share must lie in \(0, 1\], got 0"):
        config(tmp_path, start_share=0.0)
    with pytest.raises(ValueError, match="Unknown task 'RefineSpoon'"):
        PlaySettings(task="RefineSpoon")
    with pytest.raises(ValueError, match="written FIRST>SECOND, got 'mug_rim'"):
        PlaySettings(switch="mug_rim")
    assert not (tmp_path / "training" / "checkpoints").exists()


@pytest.mark.slow
def test_workers_in_processes_play_and_validation_is_noted(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "policy")
    train(config(tmp_path, rollout="process", num_workers=2, eval_every=40, eval_episodes=1))
    curve = rows(tmp_path / "training" / LEARNING_CURVE)
    assert float(curve[-1]["env_steps"]) >= 80
    assert {"mug_rim_pos_mm_mean", "bottle_head_success"} <= set(curve[-1])
    assert (tmp_path / "training" / "checkpoints" / "best" / "pretrained_model").exists()


@pytest.mark.slow
def test_a_ray_cluster_plays_as_well(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    write_checkpoint(tmp_path / "policy")
    last = train(config(tmp_path, rollout="ray", num_workers=2))
    assert (last / "model.safetensors").exists()
