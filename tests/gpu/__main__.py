"""`make test-gpu`: what only a machine with a GPU can show, in at most eight minutes.

Each part is a process of its own with a time of its own, and ends as "ok", "left out" (something
that it needs is not here; the line says what) or "failed". Exit status 0: none failed; 2: there is
no GPU.
"""

import subprocess
import sys
import time

PARTS = {
    "bf16 fine-tuning": ("fine_tuning", 120),
    "ONNX on CUDA": ("cuda", 70),
    "ONNX on TensorRT": ("tensorrt", 130),
    "two streams of listening": ("streams", 90),
    "Triton's layout for a GPU": ("triton", 60),
}
"""Each part's function in `tests.gpu.parts`, and the seconds that it may take: 470 in all."""

LEFT_OUT = 77


def main() -> int:
    """Run all parts; returns the exit status."""
    import torch

    if not torch.cuda.is_available():
        print(
            "make test-gpu: this machine has no GPU that torch sees; nothing was run",
            file=sys.stderr,
        )
        return 2
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}", flush=True)
    failed = False
    for title, (part, seconds) in PARTS.items():
        began = time.monotonic()
        command = [sys.executable, "-W", "ignore", "-m", "tests.gpu.parts", part]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            result, told, failed = "failed", f"took more than {seconds} s", True
        else:
            result = {0: "ok", LEFT_OUT: "left out"}.get(done.returncode, "failed")
            failed = failed or result == "failed"
            lines = (done.stderr if result == "failed" else done.stdout).strip().splitlines()
            told = " ".join(lines[-3:] if result == "failed" else lines[-1:])
        print(f"{title}: {result}, {time.monotonic() - began:.0f} s: {told}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
