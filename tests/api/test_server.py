"""What the other tests here rest on."""

import json

from tests.support.apiserver import ApiServer
from tests.support.programs import API_SERVER_VERSION


def test_server_is_of_the_version_that_was_asked_for(bare_api: ApiServer) -> None:
    version = json.loads(bare_api.kubectl("version", "-o", "json").stdout)["serverVersion"]
    assert version["gitVersion"] == API_SERVER_VERSION
