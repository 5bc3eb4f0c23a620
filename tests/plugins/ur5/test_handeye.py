"""Hand-eye calibration on views made up: poses with noise, and drawn pictures of the board from end to end."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lerobot_neuraltouch import se3
from lerobot_robot_ur5_tactip.calibration import WristCalibration
from lerobot_robot_ur5_tactip.handeye.board import Board, Lens, measure_lens
from lerobot_robot_ur5_tactip.handeye.calibrate import calibrate
from lerobot_robot_ur5_tactip.handeye.factory import CameraFacts, DepthPicture, realsense_facts
from lerobot_robot_ur5_tactip.handeye.solve import solve_hand_eye
from lerobot_robot_ur5_tactip.handeye.views import View, ViewFolder
from lerobot_robot_ur5_tactip.verbs import handeye

T_TCP_CAMERA = se3.transform(Rotation.from_rotvec([0.1, -0.2, 1.5]), (0.05, -0.06, -0.08))
T_BASE_BOARD = se3.transform(Rotation.from_rotvec([3.1, 0.0, 0.2]), (0.5, 0.1, 0.0))
BOARD = Board()
LENS = Lens.ideal(610.0, 612.0, 322.0, 238.0)
DEPTH = DepthPicture(width=640, height=480, fx=400.0, fy=400.0, cx=320.0, cy=240.0)
T_COLOR_DEPTH = se3.transform(None, (-0.015, 0.0, 0.0))


def camera_poses(num: int, tilt_deg: float, rng: np.random.Generator) -> np.ndarray:
    """T_camera_board with the board's middle in view, (num, 4, 4)."""
    middle = np.array([0.105, 0.075, 0.0])
    poses = []
    for _ in range(num):
        turn = Rotation.from_rotvec(np.deg2rad(tilt_deg) * rng.uniform(-1.0, 1.0, 3) * [1, 1, 1.5])
        place = np.append(rng.uniform(-0.03, 0.03, 2), rng.uniform(0.30, 0.40))
        poses.append(se3.transform(turn, place - turn.apply(middle)))
    return np.array(poses)


def tool_poses(boards: np.ndarray) -> np.ndarray:
    return T_BASE_BOARD @ se3.inverse(boards) @ se3.inverse(T_TCP_CAMERA)


def with_noise(poses: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """0.2 mm and 0.05 degrees, standard deviation per axis: what a board is seen with."""
    twists = rng.standard_normal((len(poses), 6)) * ([2e-4] * 3 + [np.deg2rad(0.05)] * 3)
    return poses @ se3.exp(twists)


def off(T: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    difference = se3.inverse(wanted) @ T
    return float(np.linalg.norm(difference[:3, 3])), float(se3.rotation_angle(difference))


def picture_of(T_camera_board: np.ndarray) -> np.ndarray:
    """The board as an ideal camera sees it, on gray, RGB (480, 640, 3)."""
    pixels_per_m, margin = 8000.0, 0.010
    sheet = BOARD.draw(pixels_per_m, margin)
    to_board = np.array([[1 / pixels_per_m, 0, -margin], [0, 1 / pixels_per_m, -margin], [0, 0, 1]])
    flat = LENS.matrix @ T_camera_board[:3, [0, 1, 3]] @ to_board
    gray = cv2.warpPerspective(sheet, flat, (640, 480), flags=cv2.INTER_AREA, borderValue=128)
    return cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)


@pytest.mark.parametrize("seed", range(3))
def test_fifteen_views_find_the_camera(seed: int) -> None:
    rng = np.random.default_rng(seed)
    boards = camera_poses(15, 25.0, rng)
    found = solve_hand_eye(tool_poses(boards), with_noise(boards, rng))
    distance, angle = off(found.T_tcp_camera, T_TCP_CAMERA)
    assert distance < 0.001 and angle < np.deg2rad(0.1)
    assert found.spread_m < found.held_out_m < 0.002


def test_poor_views_are_refused() -> None:
    rng = np.random.default_rng(0)
    few = camera_poses(14, 25.0, rng)
    with pytest.raises(ValueError, match="needs 15 views, got 14"):
        solve_hand_eye(tool_poses(few), few)
    alike = camera_poses(20, 6.0, rng)
    with pytest.raises(ValueError, match=r"10 deg are needed about both"):
        solve_hand_eye(tool_poses(alike), with_noise(alike, rng))
    one_axis = T_BASE_BOARD @ se3.exp(np.linspace(-0.6, 0.6, 20)[:, None] * [0, 0, 0, 0, 0, 1.0])
    with pytest.raises(ValueError, match="are needed about both"):
        solve_hand_eye(one_axis, camera_poses(20, 25.0, rng))


def test_a_board_that_was_moved_is_noticed() -> None:
    rng = np.random.default_rng(1)
    boards = camera_poses(20, 25.0, rng)
    tools = tool_poses(boards)
    tools[10:, 0, 3] += 0.02
    with pytest.raises(ValueError, match=r"differs by .* mm between the views|disagree by"):
        solve_hand_eye(tools, boards)


def test_a_drawn_board_is_found_where_it_is() -> None:
    """Half a millimetre at 0.35 m from 640 x 480 pixels, the frame as documented."""
    for T in camera_poses(4, 25.0, np.random.default_rng(2)):
        distance, angle = off(BOARD.pose(picture_of(T), LENS), T)
        assert distance < 0.001 and angle < np.deg2rad(0.3)
    with pytest.raises(ValueError, match=r"shows 0 corners of the board, 8 are needed"):
        BOARD.find(np.full((480, 640), 128, np.uint8))


def test_pictures_in_a_folder_become_a_calibration(tmp_path, monkeypatch) -> None:
    """From end to end, by the verb: camera on the tool within 1 mm and 0.1 degrees, in a file that the robot reads."""
    boards = camera_poses(16, 25.0, np.random.default_rng(3))
    folder = ViewFolder(tmp_path / "views")
    folder.set_camera(CameraFacts(LENS, DEPTH, T_COLOR_DEPTH))
    for T_base_tcp, T_camera_board in zip(tool_poses(boards), boards, strict=True):
        folder.add(View(picture_of(T_camera_board), T_base_tcp))
    blank = View(np.zeros((480, 640, 3), np.uint8), np.eye(4))
    assert folder.add(blank) == 17  # shows no board: passed over
    monkeypatch.setattr("sys.argv", ["neuraltouch", f"--views={tmp_path / 'views'}"])
    monkeypatch.setattr(handeye, "register_third_party_plugins", lambda: None)  # slow, no need
    handeye.main()
    path = tmp_path / "views" / "wrist.json"
    calibration = WristCalibration.load(path)
    T = se3.from_rotvec_pose(np.array(calibration.tcp_camera))
    distance, angle = off(T, T_TCP_CAMERA @ T_COLOR_DEPTH)
    assert distance < 0.001 and angle < np.deg2rad(0.1)
    assert (calibration.fx, calibration.width) == (400.0, 640)
    report = json.loads(path.read_text())["report"]
    assert report["views"] == 16 and report["held_out_mm"] < 1.0


def test_a_lens_is_measured_from_the_same_pictures() -> None:
    """Half a percent of the focal length; fewer than ten pictures are not enough."""
    boards = camera_poses(15, 25.0, np.random.default_rng(4))
    pictures = [picture_of(T) for T in boards]
    lens = measure_lens(BOARD, pictures)
    np.testing.assert_allclose(lens.matrix[0, 0], 610.0, rtol=0.005)
    assert lens.error_px < 0.5
    with pytest.raises(ValueError, match="needs 10 pictures"):
        measure_lens(BOARD, pictures[:9])
    views = [View(p, T) for p, T in zip(pictures, tool_poses(boards), strict=True)]
    calibration = calibrate(views, BOARD, CameraFacts(None, DEPTH, np.eye(4))).calibration
    assert calibration.fx == pytest.approx(lens.matrix[0, 0])


def test_a_realsense_tells_its_own_lenses() -> None:
    """A made-up pipeline: rotations by columns, depth 15 mm to the left of colour, another unit."""
    turn = Rotation.from_rotvec([0.0, 0.0, 0.1]).as_matrix()

    class Stream:
        def __init__(self, focal: float) -> None:
            self.focal = focal

        def as_video_stream_profile(self) -> "Stream":
            return self

        def get_intrinsics(self) -> SimpleNamespace:
            return SimpleNamespace(
                width=640, height=480, fx=self.focal, fy=self.focal, ppx=320.0, ppy=240.0, coeffs=[0.1, 0, 0, 0, 0]
            )  # fmt: skip

        def get_extrinsics_to(self, other: "Stream") -> SimpleNamespace:
            assert (self.focal, other.focal) == (400.0, 600.0)
            return SimpleNamespace(rotation=turn.T.ravel().tolist(), translation=[-0.015, 0.0, 0.0])

    sensor = SimpleNamespace(get_depth_scale=lambda: 0.0001)
    profile = SimpleNamespace(
        get_stream=lambda name: Stream({"color": 600.0, "depth": 400.0}[name]),
        get_device=lambda: SimpleNamespace(first_depth_sensor=lambda: sensor),
    )
    rs = SimpleNamespace(stream=SimpleNamespace(color="color", depth="depth"))
    facts = realsense_facts(profile, rs)
    assert facts.lens is not None and facts.lens.matrix[0, 0] == 600.0
    assert facts.lens.distortion[0] == 0.1 and facts.depth.fx == 400.0
    assert facts.depth.depth_unit_m == 0.0001
    np.testing.assert_allclose(facts.T_color_depth, se3.transform(turn, (-0.015, 0.0, 0.0)))
    again = CameraFacts.from_plain(json.loads(json.dumps(facts.to_plain())))
    np.testing.assert_allclose(again.T_color_depth, facts.T_color_depth, atol=1e-12)


def test_an_arm_that_moves_or_has_another_tcp_gives_no_view() -> None:
    from lerobot_neuraltouch import kinematics

    tcp, q = (0.0, 0.0, 0.2, 0.0, 0.0, 0.0), np.array([0.0, -1.5, 1.5, -1.5, -1.5, 0.0])
    T = kinematics.forward(kinematics.get_arm("ur5e"), q) @ se3.from_rotvec_pose(np.array(tcp))
    config = SimpleNamespace(model="ur5e", tcp=tcp)

    def receive(T: np.ndarray, speed: float = 0.0) -> SimpleNamespace:
        return SimpleNamespace(
            getActualQd=lambda: [0.0, 0.0, speed, 0.0, 0.0, 0.0],
            getActualTCPPose=lambda: se3.to_rotvec_pose(T).tolist(),
            getActualQ=lambda: q.tolist(),
        )

    np.testing.assert_allclose(handeye.still_pose(receive(T), config), T, atol=1e-9)
    with pytest.raises(ValueError, match="The arm moves"):
        handeye.still_pose(receive(T, 0.1), config)
    flange = T @ se3.transform(None, (0.0, 0.0, -0.2))
    with pytest.raises(ValueError, match="200 mm and 0.0 deg from the configured one"):
        handeye.still_pose(receive(flange), config)
