"""What of /proc and /sys a container does not see, and what it sees but may not change: Docker's lists.

They are `linux.maskedPaths` and `linux.readonlyPaths` of the OCI runtime specification. `--privileged` and
`--security-opt systempaths=unconfined` take both away.
"""

MARK = "/.dockerenv"  # an empty file, by which programs know that they are in a container
MASKED = (
    *("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats"),
    *("/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats"),
    *("/sys/devices/virtual/powercap", "/sys/firmware"),
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
