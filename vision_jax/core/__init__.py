"""The engine: tasks, steps, devices, loops, checkpoints, configs and logs of all domains."""
