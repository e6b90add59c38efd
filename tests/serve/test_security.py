"""Who may ask, and what a browser may do with the pages."""

import io

import pytest

from brain_tumor.serve import security
from brain_tumor.serve.limits import Limits


def test_every_answer_carries_the_headers(client):
    for path in ("/", "/healthz", "/nothing", "/static/style.css", "/api/v1/model"):
        headers = client.get(path).headers
        assert {name: headers[name] for name in security.HEADERS} == security.HEADERS, path
        assert "Server" not in headers


def test_the_policy_lets_nothing_in_from_elsewhere():
    assert "default-src 'none'" in security.POLICY and "unsafe" not in security.POLICY and "http" not in security.POLICY


def test_another_name_is_refused(client):
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 403
    assert client.get("/", headers={"Host": "127.0.0.1:8000"}).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://["}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_a_page_of_another_site_sends_nothing(client, files, headers):
    data = {"exam": (io.BytesIO(files["slice.png"]), "a.png")}
    assert client.post("/predict", data=data, headers=headers).status_code == 403


def test_without_the_token_nothing_is_told(make_client, files, send):
    client = make_client(token="secret")
    assert client.get("/").headers["Location"] == "/login"
    assert send(client, "a.png", files["slice.png"]).status_code == 401
    assert client.get("/api/v1/model", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/api/v1/model", headers={"Authorization": "Bearer secret"}).status_code == 200
    assert client.get("/healthz").status_code == 200


def test_the_token_opens_the_page(make_client):
    client = make_client(token="secret")
    assert client.post("/login", data={"token": "wrong"}).status_code == 401
    response = client.post("/login", data={"token": "secret"})
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert client.get("/").status_code == 200


def test_a_token_that_is_no_ascii_is_compared_all_the_same():
    assert security.same("gehéim", "gehéim") and not security.same("gehéim", "geheim")


def test_one_address_asks_so_often(make_client, files, send):
    client = make_client(Limits(per_minute=2))
    statuses = [send(client, "a.png", files["slice.png"]).status_code for _ in range(4)]
    assert statuses == [200, 200, 429, 429]
    assert send(client, "a.png", files["slice.png"]).headers["Retry-After"] == "30"


@pytest.mark.parametrize(
    ("host", "alone"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("x", False)]
)
def test_loopback(host, alone):
    assert security.is_loopback(host) == alone
