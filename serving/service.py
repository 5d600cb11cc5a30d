"""The BentoML service: `bentoml serve serving.service:MoodlineService`.

BentoML runs the workers and answers `/healthz`, `/readyz` and `/metrics`; the application it
mounts answers `/v1/…` and the page. `moodline serve` starts it with a Triton behind it.
"""

import bentoml

from components.profile import Settings
from serving.api import create_app
from serving.processes import end_with_parent
from serving.runtime import Runtime
from serving.settings import ServeSettings

SERVE = ServeSettings()
SETTINGS = Settings()
APP = create_app(SETTINGS.max_upload_megabytes * 1_000_000)


@bentoml.service(name="moodline", traffic={"timeout": SERVE.timeout}, workers=1)
@bentoml.asgi_app(APP, path="/")
class MoodlineService:
    """Recordings in, speaker turns with emotions out."""

    def __init__(self) -> None:
        self.runtime = Runtime(SETTINGS, SERVE)
        APP.state.runtime = self.runtime

    @bentoml.on_startup
    async def start(self) -> None:
        """Begin to load the speech models."""
        end_with_parent()  # BentoML gives its workers sessions of their own
        self.runtime.start()

    @bentoml.on_shutdown
    async def stop(self) -> None:
        """Let go of the models and of the connection to Triton."""
        await self.runtime.stop()

    async def __is_alive__(self) -> bool:
        """False once the speech models turned out not to load: only a restart can help then."""
        return self.runtime.failure is None

    async def __is_ready__(self) -> bool:
        """Whether a recording sent now would be answered."""
        return await self.runtime.ready()
