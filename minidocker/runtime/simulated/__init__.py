"""The simulated runtime: containers without Linux, on any system, without root.

From inside out: a process's files (`mounted`, `files`) and streams; a `kernel` that runs generators as processes; the
`shell` that builds on it (`syntax` -> `expansion` -> `shell` -> `builtin`); the commands (`applets` is their table,
`tool` what they share); the `machine`, one container of all this; and `runtime`, which starts, stops and keeps them.
"""
