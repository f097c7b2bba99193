"""An experiment that has not begun, simulated: pure, seeded, with the policies and stopping rule of the real one."""
