"""NeuralTouch: neural descriptors and touch for grasps below a millimetre (arXiv 2510.20390)."""
