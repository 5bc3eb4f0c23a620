"""The TacTip camera: its pipeline by hand-worked pictures, its sources, stale pictures, drivers that ignore us, left and right."""

import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
from lerobot.utils.errors import DeviceNotConnectedError

from lerobot_camera_tactip import TacTipCameraConfig, source
from lerobot_camera_tactip.identify import find_pressed
from lerobot_camera_tactip.processing import disc, mean_change, process
from lerobot_camera_tactip.tactip import TacTipCamera
from lerobot_camera_tactip.verbs import identify_fingers
from lerobot_camera_tactip.verbs.identify_fingers import IdentifyCommand, identify

QUICK = {"fps": 100, "warmup_frames": 0, "reference_frames": 1}


def simulated(**settings: Any) -> TacTipCamera:
    return TacTipCamera(TacTipCameraConfig(**{"source": "sim", **QUICK, **settings}))


def replaying(path: Path, **settings: Any) -> TacTipCamera:
    return TacTipCamera(
        TacTipCameraConfig(**{"source": "replay", "path": path, **QUICK, **settings})
    )


def captured(**settings: Any) -> TacTipCameraConfig:
    return TacTipCameraConfig(source="sim", **settings)


# --- pipeline --------------------------------------------------------------------------------------------------------


def test_gray_is_the_luminance_in_three_channels() -> None:
    picture = np.zeros((8, 8, 3), dtype=np.uint8)
    picture[..., 0] = 100  # red
    out = process(picture, captured(width=8, height=8))
    np.testing.assert_array_equal(out, np.full((8, 8, 3), 30))  # 0.299 red


def test_raw_keeps_the_colours() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    out = process(picture, captured(width=8, height=8, process="raw"))
    np.testing.assert_array_equal(out, picture)


def test_crop_then_resize_averages_the_part_that_is_kept() -> None:
    picture = np.zeros((48, 64, 3), dtype=np.uint8)
    picture[10:18, 20:28] = 200  # the upper left quarter of the box
    out = process(picture, captured(width=8, height=8, crop=[20, 10, 36, 26]))
    expected = np.zeros((8, 8), dtype=np.uint8)
    expected[:4, :4] = 200
    np.testing.assert_array_equal(out[..., 0], expected)


def test_a_crop_beyond_the_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="beyond the captured picture of 64 x 48"):
        process(np.zeros((48, 64, 3), np.uint8), captured(crop=[0, 0, 65, 48]))


def test_the_threshold_finds_markers_under_uneven_light() -> None:
    """A ramp from 0 to 189 with markers 40 brighter than their neighbourhood: no single level could tell them."""
    picture = np.repeat(np.arange(64, dtype=np.uint8)[None] * 3, 64, axis=0)
    markers = np.zeros((64, 64), dtype=bool)
    markers[16:64:16, 16:64:16] = True
    picture[markers] += 40
    colour = np.repeat(picture[:, :, None], 3, axis=2)
    config = captured(
        width=64, height=64, process="threshold", threshold_block=11, threshold_offset=-20.0
    )
    out = process(colour, config)
    np.testing.assert_array_equal(out[8:-8, 8:-8, 0], 255 * markers[8:-8, 8:-8])


def test_the_mask_keeps_a_disc() -> None:
    out = process(
        np.full((100, 100, 3), 9, np.uint8), captured(width=100, height=100, mask_radius=0.8)
    )
    inside = out[..., 0] > 0
    assert set(np.unique(out)) == {0, 9}
    assert inside.mean() == pytest.approx(np.pi * 0.4**2, abs=0.005)
    np.testing.assert_array_equal(inside, disc(100, 100, 0.8))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "usb"}, "opencv, replay, sim"),
        ({"source": "sim", "process": "edges"}, "raw, gray, threshold"),
        ({"source": "sim", "indenter": "cone"}, "sphere, cylinder, flat"),
        ({"source": "opencv"}, "needs index_or_path"),
        ({"source": "replay"}, "needs path"),
        ({"source": "sim", "width": 32}, "square"),
        ({"source": "sim", "crop": [10, 0, 5, 5]}, "x0 < x1"),
        ({"source": "sim", "threshold_block": 10}, "odd"),
        ({"source": "sim", "mask_radius": -1.0}, "mask_radius"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TacTipCameraConfig(**settings)


# --- simulation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("indenter", ["sphere", "cylinder", "flat"])
def test_the_simulated_finger_shows_51_levels_per_millimetre(indenter: str) -> None:
    camera = simulated(indenter=indenter)
    camera.connect()
    assert camera.read().max() == 0
    camera.press(0.002)
    picture = camera.read()
    assert picture.shape == (64, 64, 3)
    assert picture.dtype == np.uint8
    assert picture.max() == pytest.approx(102, abs=2)
    middle = picture[31:33, 31:33, 0]
    assert middle.min() == pytest.approx(102, abs=2)


def test_what_is_wider_covers_more_of_the_pad() -> None:
    areas = []
    for indenter in ("sphere", "cylinder", "flat"):
        camera = simulated(indenter=indenter, indenter_radius_m=0.002, indentation_m=0.001)
        camera.connect()
        areas.append(int((camera.read()[..., 0] > 0).sum()))
    assert areas[0] < areas[1] < areas[2]


def test_only_the_simulated_finger_is_pressed_by_a_program(tmp_path: Path) -> None:
    write_pictures(tmp_path, [0])
    camera = replaying(tmp_path)
    camera.connect()
    with pytest.raises(TypeError, match="source=sim"):
        camera.press(0.001)


# --- replay ----------------------------------------------------------------------------------------------------------


class Clock:
    """Time that passes only when somebody sleeps or `tick`s."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(source, "time", clock)
    return clock


def write_pictures(folder: Path, levels: list[int]) -> None:
    for number, level in enumerate(levels):
        cv2.imwrite(str(folder / f"{number:04d}.png"), np.full((64, 64, 3), level, np.uint8))


def level(picture: np.ndarray) -> int:
    return int(picture[0, 0, 0])


def test_a_folder_is_played_in_time(tmp_path: Path, clock: Clock) -> None:
    write_pictures(tmp_path, [10, 20, 30, 40])
    camera = replaying(tmp_path, fps=10)
    camera.connect()  # takes picture 0 for the reference
    assert level(camera.reference) == 10
    assert level(camera.async_read()) == 20
    clock.now = 0.25  # picture 2 came at 0.2 s
    assert level(camera.read_latest()) == 30
    assert level(camera.read()) == 40
    assert clock.now == pytest.approx(0.3)
    assert level(camera.read()) == 10  # and again from the beginning


def test_a_replay_that_is_over_grows_stale(tmp_path: Path, clock: Clock) -> None:
    write_pictures(tmp_path, [10, 20])
    camera = replaying(tmp_path, fps=10, loop=False)
    camera.connect()
    clock.now = 0.24
    assert level(camera.read_latest()) == 20
    clock.now = 0.26  # 160 ms after the last picture
    with pytest.raises(TimeoutError, match="0.16 s old"):
        camera.read_latest()
    assert level(camera.read_latest(max_age_ms=1000)) == 20
    with pytest.raises(TimeoutError, match="replay is over"):
        camera.read()


def test_no_waiting_beyond_the_timeout(tmp_path: Path, clock: Clock) -> None:
    write_pictures(tmp_path, [10, 20])
    camera = replaying(tmp_path, fps=1)
    camera.connect()
    with pytest.raises(TimeoutError, match="0.2 s at 1 per second"):
        camera.async_read(timeout_ms=200)


def test_a_video_is_played_forward_and_from_the_beginning(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "touch.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 64))
    for value in (40, 80, 120, 160):
        writer.write(np.full((64, 64, 3), value, np.uint8))
    writer.release()
    camera = replaying(path, fps=10)
    camera.connect()
    seen = [level(camera.reference)]
    for now in (0.1, 0.3, 0.4, 0.6):  # skips one, begins anew, skips one
        clock.now = now + 0.01
        seen.append(level(camera.read_latest()))
    assert seen == pytest.approx([40, 80, 160, 40, 120], abs=2)


@pytest.mark.parametrize("name", ["", "absent.mp4"])
def test_nothing_to_replay_is_an_error(tmp_path: Path, name: str) -> None:
    camera = replaying(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="no PNG file and no video"):
        camera.connect()
    assert not camera.is_connected


def test_the_reference_is_a_mean_and_is_kept(tmp_path: Path, clock: Clock) -> None:
    write_pictures(tmp_path, [255, 10, 20, 30])
    path = tmp_path / "out" / "reference.png"
    camera = replaying(tmp_path, warmup_frames=1, reference_frames=3, reference_path=path)
    with pytest.raises(RuntimeError, match="no reference"):
        _ = camera.reference
    with pytest.raises(DeviceNotConnectedError):
        camera.read()
    camera.connect()
    assert (camera.reference == 20).all()
    assert (cv2.imread(str(path)) == 20).all()


# --- device ----------------------------------------------------------------------------------------------------------


class FakeDevice:
    """A V4L2 camera that may ignore some properties."""

    ignored: ClassVar[dict[int, float]] = {}
    opened: ClassVar[list["FakeDevice"]] = []

    def __init__(self, index: int, backend: int = 0) -> None:
        self.properties: dict[int, float] = {}
        self.order: list[int] = []
        self.is_open = True
        self.stalled = threading.Event()
        FakeDevice.opened.append(self)

    def isOpened(self) -> bool:
        return self.is_open

    def set(self, prop: int, value: float) -> bool:
        self.order.append(prop)
        self.properties[prop] = self.ignored.get(prop, value)
        return True

    def get(self, prop: int) -> float:
        return self.properties.get(prop, 0.0)

    def read(self) -> tuple[bool, np.ndarray]:
        while self.stalled.is_set() and self.is_open:
            time.sleep(0.005)
        time.sleep(0.01)
        picture = np.zeros((480, 640, 3), dtype=np.uint8)
        picture[..., 2] = 100  # OpenCV delivers BGR: red
        return True, picture

    def release(self) -> None:
        self.is_open = False


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> type[FakeDevice]:
    monkeypatch.setattr(cv2, "VideoCapture", FakeDevice)
    monkeypatch.setattr(FakeDevice, "ignored", {})
    monkeypatch.setattr(FakeDevice, "opened", [])
    return FakeDevice


def on_device(**settings: Any) -> TacTipCamera:
    fixed = {"exposure": 78.0, "gain": 4.0, "white_balance": 4600.0}
    return TacTipCamera(TacTipCameraConfig(**{"index_or_path": 0, **QUICK, **fixed, **settings}))


def test_a_devices_automatics_go_off_before_values_are_fixed(device: type[FakeDevice]) -> None:
    camera = on_device(process="raw")
    camera.connect()
    assert tuple(camera.read()[0, 0]) == (100, 0, 0)  # RGB
    order = device.opened[0].order
    assert order.index(cv2.CAP_PROP_AUTO_EXPOSURE) < order.index(cv2.CAP_PROP_EXPOSURE)
    assert order.index(cv2.CAP_PROP_AUTO_WB) < order.index(cv2.CAP_PROP_WB_TEMPERATURE)
    assert device.opened[0].properties[cv2.CAP_PROP_EXPOSURE] == 78.0
    camera.disconnect()
    assert not device.opened[0].is_open


@pytest.mark.parametrize(
    ("prop", "value", "name"),
    [
        (cv2.CAP_PROP_EXPOSURE, 157.0, "exposure = 78 but has 157"),
        (cv2.CAP_PROP_AUTO_EXPOSURE, 3.0, "auto_exposure_off = 1 but has 3"),
        (cv2.CAP_PROP_GAIN, 0.0, "gain = 4 but has 0"),
        (cv2.CAP_PROP_WB_TEMPERATURE, 2800.0, "white_balance = 4600 but has 2800"),
    ],
)
def test_a_driver_that_ignores_a_value_is_an_error(
    device: type[FakeDevice], prop: int, value: float, name: str
) -> None:
    device.ignored[prop] = value
    camera = on_device()
    with pytest.raises(ConnectionError, match=name):
        camera.connect()
    assert not camera.is_connected
    assert not device.opened[0].is_open


def test_a_device_that_hangs_is_noticed(device: type[FakeDevice]) -> None:
    camera = on_device(max_age_ms=50)
    camera.connect()
    assert camera.read_latest(max_age_ms=5000).shape == (64, 64, 3)
    device.opened[0].stalled.set()
    time.sleep(0.2)
    with pytest.raises(TimeoutError):
        camera.read_latest()
    device.opened[0].stalled.clear()
    camera.disconnect()


# --- left and right --------------------------------------------------------------------------------------------------


def pressed_pair(left: float, right: float) -> dict[str, TacTipCamera]:
    cameras = {"left": simulated(), "right": simulated()}
    for camera, depth in zip(cameras.values(), (left, right), strict=True):
        camera.connect()
        camera.press(depth)
    return cameras


@pytest.mark.parametrize(
    ("left", "right", "name"), [(0.002, 0.0, "left"), (0.0002, 0.003, "right")]
)
def test_the_pressed_finger_is_found(left: float, right: float, name: str) -> None:
    assert find_pressed(pressed_pair(left, right), timeout_s=5.0) == name


@pytest.mark.parametrize(("left", "right"), [(0.0, 0.0), (0.003, 0.0025)])
def test_no_finger_or_both_are_not_taken_for_one(left: float, right: float) -> None:
    with pytest.raises(TimeoutError, match="left: .*, right: .*Press one finger"):
        find_pressed(pressed_pair(left, right), timeout_s=0.5)


@pytest.mark.parametrize("swapped", [False, True])
def test_the_verb_says_whether_to_swap(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], swapped: bool
) -> None:
    """One replay stays as it was at connection, the other one brightens after its first picture."""
    for name, levels in (("still", [20, 20]), ("touched", [20, 90])):
        (tmp_path / name).mkdir()
        write_pictures(tmp_path / name, levels[:1] * 10 + levels[1:] * 200)
    paths = [tmp_path / "touched", tmp_path / "still"]
    left, right = (
        TacTipCameraConfig(source="replay", path=path, **QUICK | {"fps": 20})
        for path in (reversed(paths) if swapped else paths)
    )
    assert identify(IdentifyCommand(left, right, timeout_s=10.0)) is not swapped
    assert ("SWAP" in capsys.readouterr().out) is swapped


def test_the_verb_reads_its_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = [f"--{side}.source=sim" for side in ("left", "right")]
    monkeypatch.setattr("sys.argv", ["identify-fingers", *flags, "--timeout_s=0.1"])
    with pytest.raises(ValueError, match="No finger stood out within 0.1 s"):
        identify_fingers.main()


def test_the_change_is_a_mean_in_gray_levels() -> None:
    reference, picture = np.full((4, 4, 3), 10, np.uint8), np.full((4, 4, 3), 10, np.uint8)
    picture[0] = 2  # a quarter of the rows, 8 darker
    assert mean_change(picture, reference) == 2.0
