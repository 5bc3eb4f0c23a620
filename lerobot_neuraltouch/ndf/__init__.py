"""Neural descriptor fields: describe points and gripper poses by the object's shape, and find matching poses."""
