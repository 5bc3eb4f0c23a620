"""Where the wrist camera sits on the tool: a ChArUco board, views from many poses, PARK's method with cross-checks."""
