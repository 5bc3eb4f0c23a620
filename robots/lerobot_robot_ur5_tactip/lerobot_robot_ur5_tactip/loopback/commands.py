"""Numbers that `ur_rtde` gives its commands in input integer register 0."""

from dataclasses import dataclass

STOP_PROGRAM = 255


@dataclass(frozen=True)
class Command:
    """One command of the client."""

    name: str
    """What URScript calls it."""
    is_streaming: bool = False
    """Taken in every control step, without an answer."""


COMMANDS = {
    1: Command("movej"),
    2: Command("movej_ik"),
    3: Command("movel"),
    4: Command("movel_fk"),
    6: Command("force_mode", True),
    7: Command("end_force_mode"),
    8: Command("zero_ftsensor"),
    9: Command("speedj", True),
    10: Command("speedl", True),
    11: Command("servoj", True),
    12: Command("servoc"),
    15: Command("speed_stop"),
    16: Command("servo_stop"),
    17: Command("set_payload"),
    18: Command("teach_mode"),
    19: Command("end_teach_mode"),
    20: Command("force_mode_set_damping"),
    21: Command("force_mode_set_gain_scaling"),
    24: Command("servol", True),
    25: Command("tool_contact", True),
    26: Command("get_steptime", True),
    27: Command("get_actual_joint_positions_history", True),
    28: Command("get_target_waypoint"),
    29: Command("set_tcp"),
    30: Command("get_inverse_kin"),
    31: Command("protective_stop"),
    33: Command("stopl"),
    34: Command("stopj"),
    35: Command("set_watchdog"),
    36: Command("is_within_safety_limits"),
    37: Command("is_within_safety_limits"),
    38: Command("get_joint_torques", True),
    39: Command("pose_trans"),
    40: Command("get_tcp_offset"),
    41: Command("jog"),
    42: Command("end_jog"),
    43: Command("get_forward_kin"),
    44: Command("get_forward_kin"),
    45: Command("move_path"),
    46: Command("get_inverse_kin"),
    47: Command("is_steady"),
    51: Command("move_until_contact"),
    52: Command("freedrive_mode"),
    53: Command("end_freedrive_mode"),
    54: Command("get_freedrive_status"),
    56: Command("ft_rtde_input_enable"),
    57: Command("enable_external_ft_sensor"),
    58: Command("get_actual_tool_flange_pose", True),
    59: Command("set_gravity"),
    60: Command("get_inverse_kin_has_solution"),
    61: Command("get_inverse_kin_has_solution"),
    62: Command("start_contact_detection"),
    63: Command("stop_contact_detection"),
    64: Command("read_contact_detection"),
    65: Command("set_target_payload"),
    66: Command("direct_torque", True),
    67: Command("get_mass_matrix", True),
    68: Command("get_coriolis_and_centrifugal_torques", True),
    69: Command("get_target_joint_accelerations", True),
    70: Command("get_jacobian", True),
    71: Command("get_jacobian_time_derivative", True),
    STOP_PROGRAM: Command("stop_program"),
}
