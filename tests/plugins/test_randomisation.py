"""Domain randomisation: off it changes nothing, on it changes the hand of the episode and nothing else."""

import mujoco
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gym_neuraltouch.randomisation import RANDOMISATIONS, Randomisation
from gym_neuraltouch.refine_env import RefineEnv
from gym_neuraltouch.scene import compile_model
from lerobot_neuraltouch.tactile import FINGERS

DOME = FINGERS["dome"]
LATE = Randomisation(latency_share=1.0)


def make(**kwargs: object) -> RefineEnv:
    """An environment without wrappers, one object."""
    return RefineEnv("RefineBottleHead", **({"num_objects": 1} | kwargs))  # type: ignore[arg-type]


def spring_and_friction(env: RefineEnv) -> list[float]:
    """Of the left pad, read from the model itself: normal and shear stiffness, damping, sliding and torsional friction."""
    model = env.piece.model
    joint, shear = model.joint("left_normal"), model.joint("left_shear_x")
    skin = model.geom("left_skin").friction
    return [joint.stiffness[0], shear.stiffness[0], joint.damping[0], skin[0], skin[1]]


def rollout(env: RefineEnv, seed: int, steps: int = 4) -> list[np.ndarray]:
    """Observations and rewards while the fingers close, and the generator's state after it."""
    obs, _ = env.reset(seed=seed)
    seen = [obs["point_cloud"]]
    for _ in range(steps):
        obs, reward, *_ = env.step(np.array([0, 0, 0.005, 0, 0, 0, -0.01]))
        seen += [obs["agent_pos"], obs["pixels"]["tactile_left"], np.array(reward)]
    return [*seen, np.array([env.np_random.bit_generator.state["state"]["state"]], dtype=object)]


def pad_inertia(model) -> float:
    """What moves with the left skin along its normal [kg]: its mass and what longer physics steps add."""
    return DOME.pad_mass_kg + float(model.dof_armature[model.joint("left_normal").dofadr[0]])


def test_off_it_draws_nothing_and_says_so() -> None:
    """The default is off; the hand is the finger's own, to the last bit of the compiled model."""
    env = make()
    state = np.random.default_rng(0)
    before = state.bit_generator.state
    RANDOMISATIONS["none"].sample(state, DOME)
    assert state.bit_generator.state == before
    assert state.bit_generator.seed_seq.n_children_spawned == 0  # type: ignore[attr-defined]
    _, info = env.reset(seed=0)
    drawn = info["randomisation"]
    assert drawn["tip_stiffness_n_per_m"] == DOME.tip_stiffness_n_per_m
    assert (drawn["friction"], drawn["latency_steps"], drawn["touch_noise_level"]) == (1.5, 0, 1.0)
    assert not drawn["camera_offset_m"].any()
    compiled = compile_model(env.piece.item, DOME, env.config.gripper, False, None)
    for name in ("jnt_stiffness", "dof_damping", "geom_friction"):
        assert_array_equal(getattr(env.piece.model, name), getattr(compiled, name))


def test_after_randomised_episodes_the_nominal_hand_comes_back_to_the_last_bit() -> None:
    """A rollout with randomisation switched off again is that of an environment that never had any."""
    plain = rollout(make(), 7)
    env = make(randomisation="wide")
    rollout(env, 3)
    randomised = spring_and_friction(env)
    env.randomisation = RANDOMISATIONS["none"]
    for first, second in zip(rollout(env, 7), plain, strict=True):
        assert_array_equal(first, second)
    assert spring_and_friction(env) != randomised


def test_a_seed_gives_the_same_object_place_and_start_with_any_randomisation() -> None:
    """Only what the hand feels and shows differs."""
    start, wide = (
        make(noise="off").reset(seed=5),
        make(noise="off", randomisation="wide").reset(seed=5),
    )
    assert_array_equal(start[0]["point_cloud"], wide[0]["point_cloud"])
    assert_array_equal(start[0]["agent_pos"], wide[0]["agent_pos"])
    assert wide[1]["randomisation"] != start[1]["randomisation"]


def test_what_is_drawn_is_in_the_model_and_no_model_is_built() -> None:
    """Each episode another hand within its limits, in the same model; the damping stays critical."""
    env = make(randomisation="wide")
    _, info = env.reset(seed=0)
    model, built = env.piece.model, compile_model.cache_info().misses
    limits = RANDOMISATIONS["wide"]
    seen = []
    for _ in range(6):
        _, info = env.reset()
        drawn = info["randomisation"]
        normal, shear, damping, sliding, torsional = spring_and_friction(env)
        assert normal == pytest.approx(DOME.spring_for(drawn["tip_stiffness_n_per_m"]))
        assert shear == pytest.approx(min(2 * normal, 1600.0))
        assert damping == pytest.approx(2 * np.sqrt(normal * pad_inertia(model)))
        assert (sliding, torsional) == (drawn["friction"], pytest.approx(0.008 * sliding / 1.5))
        low, high = limits.tip_stiffness_n_per_m  # type: ignore[misc]
        assert low <= drawn["tip_stiffness_n_per_m"] <= high
        assert np.abs(drawn["camera_offset_m"]).max() <= limits.camera_offset_m
        seen.append(drawn["tip_stiffness_n_per_m"])
    assert len(set(seen)) == 6
    assert env.piece.model is model
    assert compile_model.cache_info().misses == built


def test_draws_repeat_under_one_seed_and_cover_their_ranges() -> None:
    limits = RANDOMISATIONS["wide"]
    draws = [limits.sample(np.random.default_rng(seed), DOME) for seed in range(200)]
    again = limits.sample(np.random.default_rng(4), DOME)
    assert (
        draws[4].as_info().items()
        >= {
            key: value for key, value in again.as_info().items() if key != "camera_offset_m"
        }.items()
    )
    assert_array_equal(draws[4].camera_offset_m, again.camera_offset_m)
    stiffness = np.array([draw.tip_stiffness_n_per_m for draw in draws])
    assert stiffness.min() < 275
    assert stiffness.max() > 910
    assert np.median(stiffness) == pytest.approx(500, rel=0.1)  # uniform in the logarithm
    assert np.mean([draw.latency_steps for draw in draws]) == pytest.approx(0.5, abs=0.1)


def test_late_images_are_those_of_the_control_step_before() -> None:
    """State and truth stay current."""
    plain, late = make(noise="off"), make(noise="off", randomisation=LATE)
    frames: dict[str, list[np.ndarray]] = {"plain": [], "late": []}
    for name, env in (("plain", plain), ("late", late)):
        obs, info = env.reset(seed=3)
        for _ in range(12):
            frames[name].append(obs["pixels"]["tactile_left"])
            truth = info["privileged"]
            action = np.append(2 * truth["target_twist"], truth["target_finger_distance_m"])
            obs, *_, info = env.step(action)
    assert info["randomisation"]["latency_steps"] == 1
    assert frames["plain"][-1].any()
    assert_array_equal(frames["late"][1:], frames["plain"][:-1])


@pytest.mark.parametrize("tip", [250.0, 1000.0])
def test_a_drawn_tip_feels_as_stiff_as_it_says(tip: float) -> None:
    """On a lid, gripped with 1 N."""
    env = make(noise="off", randomisation=Randomisation(tip_stiffness_n_per_m=(tip, tip)))
    _, info = env.reset(seed=3)
    piece = env.piece
    piece.gripper.place(info["privileged"]["T_base_target"], piece.feature.part_thickness_m + 2e-4)
    mujoco.mj_forward(piece.model, piece.data)
    for _ in range(12):
        force = piece.gripper.drive(np.zeros(6), piece.gripper.finger_distance_m - 0.0005)
    depth = (piece.feature.part_thickness_m - piece.gripper.finger_distance_m) / 2
    assert_allclose(force.mean() / depth, tip, rtol=0.1)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"tip_stiffness_n_per_m": (600.0, 500.0)}, "tip_stiffness_n_per_m must be .low, high."),
        ({"tip_stiffness_n_per_m": (500.0, 5000.0)}, "high <= 1150, got"),
        ({"friction": (0.0, 1.0)}, "friction must be"),
        ({"friction": (float("nan"), 1.0)}, "friction must be"),
        ({"camera_offset_m": 0.5}, "camera_offset_m must lie between 0 and 0.002, got 0.5"),
        ({"latency_share": 1.5}, "latency_share must lie between 0 and 1"),
        ({"touch_noise_level": (-1.0, 1.0)}, "touch_noise_level must be"),
    ],
)
def test_impossible_limits_are_refused_with_what_is_possible(limits: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Randomisation(**limits)
    with pytest.raises(
        ValueError, match="Unknown randomisation 'all'. Available: none, nominal, wide"
    ):
        make(randomisation="all")
