"""The model server speaks V1 and V2 as KServe and MLServer do, errors included."""

import gzip
import json
import signal
import subprocess
import sys

import pytest

from extproc.demo.model_server import BODY_BYTES, serve_models
from extproc.demo.models import held_out, train_models
from tests.kit import client


@pytest.fixture(scope="module")
def models():
    return train_models()


@pytest.fixture
async def port(models):
    async with await serve_models(models) as running:
        yield running.port


def rows(data_set, count):
    return held_out(data_set)[0][:count].tolist()


def tensor(values, **changes):
    shape = [len(values), len(values[0])]
    return {"name": "input-0", "shape": shape, "datatype": "FP64", "data": values} | changes


async def infer(port, name, **body):
    return await client.request(port, "POST", f"/v2/models/{name}/infer", json=body)


@pytest.mark.parametrize("count", [1, 3, 100])
async def test_v1_labels(models, port, count):
    """V1 answers one label for each instance, be they few or many."""
    answer = await client.request(
        port, "POST", "/v1/models/wine-a:predict", json={"instances": rows("wine", count), "signature_name": "x"}
    )
    assert (answer.status, answer.header("content-type")) == (200, "application/json")
    assert answer.json() == {"predictions": models["wine-a"].answer(held_out("wine")[0][:count]).tolist()}


async def test_v1_probabilities_and_rows(port):
    """The twin answers a list of probabilities for each instance, a transformer its rows."""
    asked = {"instances": rows("cancer", 2)}
    twin = await client.request(port, "POST", "/v1/models/cancer-forest-proba:predict", json=asked)
    scaler = await client.request(port, "POST", "/v1/models/cancer-scaler:predict", json=asked)
    assert [len(row) for row in twin.json()["predictions"]] == [2, 2]
    assert [len(row) for row in scaler.json()["predictions"]] == [30, 30]


async def test_v1_chain_of_models(port):
    """A transformer's predictions are the next model's instances, and the answer is the whole model's."""
    asked = {"instances": rows("cancer", 5)}
    scaled = await client.request(port, "POST", "/v1/models/cancer-scaler:predict", json=asked)
    apart = await client.request(
        port, "POST", "/v1/models/cancer-logistic-scaled:predict", json={"instances": scaled.json()["predictions"]}
    )
    whole = await client.request(port, "POST", "/v1/models/cancer-logistic:predict", json=asked)
    assert apart.json() == whole.json()


async def test_v1_metadata(models, port):
    """V1 lists its models and says that each is ready."""
    listed = await client.request(port, target="/v1/models")
    one = await client.request(port, target="/v1/models/wine-b")
    assert listed.json() == {"models": list(models)}
    assert one.json() == {"name": "wine-b", "ready": True}


@pytest.mark.parametrize("encoded", ["/v1/models/wine-a%3Apredict", "/v1/models/wine-a:predict?x=1"])
async def test_paths_that_mean_the_same(port, encoded):
    """A colon may be encoded, a query is ignored."""
    answer = await client.request(port, "POST", encoded, json={"instances": rows("wine", 1)})
    assert answer.status == 200


@pytest.mark.parametrize("nested", [True, False])
async def test_v2_labels(port, nested):
    """V2 takes its data nested or flat, echoes the id and names the model."""
    values = rows("wine", 2)
    data = values if nested else [value for row in values for value in row]
    answer = await infer(port, "wine-a", id="7", inputs=[tensor(values, data=data)], parameters={"x": 1})
    assert answer.json() == {
        "model_name": "wine-a",
        "model_version": "1",
        "id": "7",
        "outputs": [
            {"name": "predict", "shape": [2, 1], "datatype": "INT64", "data": answer.json()["outputs"][0]["data"]}
        ],
    }
    assert all(isinstance(label, int) for label in answer.json()["outputs"][0]["data"])


async def test_v2_outputs_by_name(port):
    """Outputs are answered in the order they are asked for; without an id there is none."""
    outputs = [{"name": "predict_proba"}, {"name": "predict"}]
    answer = await infer(port, "wine-a", inputs=[tensor(rows("wine", 2))], outputs=outputs)
    assert [(out["name"], out["shape"], out["datatype"]) for out in answer.json()["outputs"]] == [
        ("predict_proba", [2, 3], "FP64"),
        ("predict", [2, 1], "INT64"),
    ]
    assert "id" not in answer.json()


async def test_v2_outputs_are_inputs(port):
    """A transformer's output is, as it is, the next model's input."""
    scaled = await infer(port, "cancer-scaler", inputs=[tensor(rows("cancer", 3))])
    apart = await infer(port, "cancer-logistic-scaled", inputs=scaled.json()["outputs"])
    whole = await infer(port, "cancer-logistic", inputs=[tensor(rows("cancer", 3))])
    assert apart.json()["outputs"] == whole.json()["outputs"]


async def test_v2_integers_and_bools(port):
    """Tensors of integers and booleans are numbers, too."""
    zeros = await infer(port, "digits-small", inputs=[tensor([[0] * 64], datatype="UINT8")])
    bools = await infer(port, "digits-small", inputs=[tensor([[False] * 64], datatype="BOOL")])
    assert zeros.json()["outputs"] == bools.json()["outputs"]


@pytest.mark.parametrize(
    ("target", "document"),
    [
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models/wine-a/ready", {"name": "wine-a", "ready": True}),
    ],
)
async def test_v2_health(port, target, document):
    """V2 answers for the server's health and the model's."""
    answer = await client.request(port, target=target)
    assert (answer.status, answer.json()) == (200, document)


async def test_v2_metadata(port):
    """V2 describes the server and each model."""
    server = await client.request(port, target="/v2")
    model = await client.request(port, target="/v2/models/digits-small")
    assert set(server.json()) == {"name", "version", "extensions"}
    assert model.json() == {
        "name": "digits-small",
        "versions": ["1"],
        "platform": "sklearn",
        "inputs": [{"name": "input-0", "datatype": "FP64", "shape": [-1, 64]}],
        "outputs": [
            {"name": "predict", "datatype": "INT64", "shape": [-1, 1]},
            {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 10]},
        ],
    }


BAD_V1 = {
    "empty": b"",
    "no-json": b"nonsense",
    "no-utf8": b'{"\xff": 1}',
    "list": b"[]",
    "no-instances": b"{}",
    "instances-no-list": b'{"instances": 1}',
    "no-rows": b'{"instances": []}',
    "flat": b'{"instances": [1, 2]}',
    "too-narrow": b'{"instances": [[1, 2]]}',
    "ragged": json.dumps({"instances": [[1.0] * 30, [1.0] * 29]}).encode(),
    "strings": json.dumps({"instances": [["1"] * 30]}).encode(),
    "nulls": json.dumps({"instances": [[None] * 30]}).encode(),
    "nan": json.dumps({"instances": [[float("nan")] * 30]}).encode(),
    "huge": json.dumps({"instances": [[1e300] * 30]}).encode(),
    "huge-integers": json.dumps({"instances": [[10**400] * 30]}).encode(),
    "deep": b'{"instances": ' + b"[" * 100_000,
}


@pytest.mark.parametrize("body", BAD_V1.values(), ids=BAD_V1)
async def test_v1_bad_input(port, body):
    """What cannot be predicted is the client's mistake, and the answer says which."""
    answer = await client.request(port, "POST", "/v1/models/cancer-forest:predict", body=body)
    assert answer.status == 400
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"]


ROW = [1.0] * 13
BAD_V2 = {
    "no-inputs": {},
    "empty-inputs": {"inputs": []},
    "two-inputs": {"inputs": [tensor([ROW]), tensor([ROW])]},
    "no-shape": {"inputs": [{"name": "x", "datatype": "FP64", "data": [1]}]},
    "vector": {"inputs": [tensor([ROW], shape=[13])]},
    "cube": {"inputs": [tensor([ROW], shape=[1, 1, 13])]},
    "too-few-values": {"inputs": [tensor([ROW], shape=[2, 13])]},
    "negative-shape": {"inputs": [tensor([ROW], shape=[-1, -13])]},
    "zero-shape": {"inputs": [tensor([ROW], shape=[0, 0], data=[])]},
    "other-width": {"inputs": [tensor([[1.0] * 12])]},
    "reshaped": {"inputs": [tensor([[1.0] * 26], shape=[2, 13])]},
    "bytes": {"inputs": [tensor([ROW], datatype="BYTES")]},
    "unknown-datatype": {"inputs": [tensor([ROW], datatype="FP63")]},
    "strings": {"inputs": [tensor([["1"] * 13])]},
    "mixed": {"inputs": [tensor([ROW], shape=[2, 13], data=[ROW, *ROW])]},
    "unknown-output": {"inputs": [tensor([ROW])], "outputs": [{"name": "transform"}]},
}


@pytest.mark.parametrize("body", BAD_V2.values(), ids=BAD_V2)
async def test_v2_bad_input(port, body):
    """A V2 request whose tensor does not hold what it says is refused, and the answer says why."""
    answer = await infer(port, "wine-a", **body)
    assert answer.status == 400
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/v1/models/gone"),
        ("POST", "/v1/models/gone:predict"),
        ("GET", "/v2/models/gone"),
        ("GET", "/v2/models/gone/ready"),
        ("POST", "/v2/models/gone/infer"),
    ],
)
async def test_unknown_models(port, method, target):
    """An unknown model is 404, and named."""
    answer = await client.request(port, method, target)
    assert (answer.status, answer.json()) == (404, {"error": "Model with name gone does not exist."})


async def test_unknown_paths_and_methods(port):
    """Anything else is 404 or 405 in the same shape, and 405 says what is allowed."""
    path = await client.request(port, target="/nowhere")
    method = await client.request(port, target="/v1/models/wine-a:predict")
    assert (path.status, list(path.json())) == (404, ["error"])
    assert (method.status, list(method.json()), method.header("allow")) == (405, ["error"], "POST")


async def test_body_limit(port):
    """A body above the limit is 413."""
    answer = await client.request(port, "POST", "/v1/models/wine-a:predict", body=b" " * (BODY_BYTES + 1))
    assert (answer.status, list(answer.json())) == (413, ["error"])


async def test_compressed_bodies(port):
    """A compressed body is read; what is no gzip is refused."""
    body = gzip.compress(json.dumps({"instances": rows("wine", 1)}).encode())
    headers = [("content-encoding", "gzip")]
    good = await client.request(port, "POST", "/v1/models/wine-a:predict", headers, body)
    bad = await client.request(port, "POST", "/v1/models/wine-a:predict", headers, b"no gzip")
    assert (good.status, bad.status) == (200, 400)


async def test_close_and_a_taken_port(models):
    """A taken port is an error; a closed server listens no more."""
    async with await serve_models(models) as running:
        assert running.url == f"http://127.0.0.1:{running.port}"
        with pytest.raises(OSError, match="in use"):
            await serve_models(models, port=running.port)
    with pytest.raises(ConnectionRefusedError):
        await client.request(running.port)


def test_command_line():
    """The command says where it listens, and ends well when it is told to."""
    command = [sys.executable, "-m", "extproc.demo.model_server", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
