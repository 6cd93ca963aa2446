"""``--device`` and ``--devices``: what JAX computes on, set before its first use."""

from __future__ import annotations

from tmepde.cli.exits import BAD_INPUT, ENVIRONMENT, Stop


def choose_device(device: str | None, precision: str) -> None:
    """Set JAX up before its first use.

    Raises:
        Stop: with exit code 5 where the wanted device is not there; never a silent fall-back to the processor.
    """
    import jax

    if precision == "f64":
        jax.config.update("jax_enable_x64", True)
    if device is None:
        return
    try:
        jax.config.update("jax_default_device", jax.local_devices(backend=device)[0])
    except RuntimeError as error:
        there = ", ".join(sorted({d.platform for d in jax.devices()}))
        reason = str(error).splitlines()[0]
        raise Stop(
            ENVIRONMENT, f"There is no {device} here ({reason}). Devices: {there}. Leave --device out."
        ) from None


def number_of(devices: str | None) -> int | str | None:
    """What ``--devices`` asks for.

    Raises:
        Stop: with exit code 2 for something that is no number, 5 where there are not as many.
    """
    if devices is None or devices == "all":
        return devices
    if not devices.isdigit() or int(devices) == 0:
        raise Stop(BAD_INPUT, f"--devices must be a number from 1, or all, but {devices!r} was given.")
    import jax

    if int(devices) > jax.device_count():
        raise Stop(
            ENVIRONMENT, f"--devices {devices} was given, but there are {jax.device_count()}. Take fewer, or all."
        )
    return int(devices)
