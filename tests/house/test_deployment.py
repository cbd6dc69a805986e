"""docs/deployment.md sets up nginx, systemd and files as docs/security.md promises of them."""

from __future__ import annotations

import re

import pytest

from webapp.config import ROOT
from webapp.web.headers import A_YEAR_SECONDS

DOCUMENT = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")


def block(kind: str, *, holding: str) -> str:
    (found,) = [text for text in re.findall(rf"```{kind}\n(.*?)```", DOCUMENT, re.DOTALL) if holding in text]
    return str(found)


NGINX = block("nginx", holding="proxy_pass")
PLAIN, ENCRYPTED = NGINX.split("\nserver {\n")[1:]
UNIT = dict(line.split("=", 1) for line in block("ini", holding="[Service]").splitlines() if "=" in line)


def values_of(directive: str, text: str = NGINX) -> list[str]:
    return re.findall(rf"^\s*{directive} +([^;]+);", text, re.MULTILINE)


def location(path: str, text: str) -> str:
    found = re.search(rf"location {re.escape(path)} \{{\n(.*?)\n    \}}", text, re.DOTALL)
    assert found, path
    return found[1]


def test_only_current_versions_of_tls_and_ciphers_with_forward_secrecy_are_spoken() -> None:
    assert values_of("ssl_protocols") == ["TLSv1.2 TLSv1.3"]
    assert values_of("ssl_ciphers") == ["ECDHE+AESGCM:ECDHE+CHACHA20"]
    assert len(values_of("ssl_certificate", ENCRYPTED)) == 1


def test_pages_lead_from_http_to_https_and_the_api_does_not() -> None:
    assert "return 301 https://" in location("/", PLAIN)
    assert "return 403;" in location("/api", PLAIN)
    assert "proxy_pass" not in PLAIN


def test_the_proxy_overwrites_what_it_is_believed() -> None:
    """Whoever sends these headers, the application sees nginx's."""
    set_by_nginx = dict(value.split(" ", 1) for value in values_of("proxy_set_header", ENCRYPTED))
    assert set_by_nginx == {
        "Connection": '""',
        "Host": "$host",
        "X-Forwarded-Host": "$host",
        "X-Forwarded-Proto": "$scheme",
        "X-Forwarded-For": "$remote_addr",
        "X-Request-ID": "$request_id",
    }
    assert "\nPROXY_COUNT=1\n" in block("sh", holding="DATABASE_URL=")


def test_no_log_of_the_proxy_has_a_query_or_a_link() -> None:
    (log_format,) = values_of("log_format")
    assert not re.search(r"\$(request|request_uri|args|query_string|http_\w+)\b", log_format)
    assert {value.rpartition(" ")[2] for value in values_of("access_log")} == {"dossier", "off"}
    link = location("/auth/set-password/", ENCRYPTED)
    assert "access_log off;" in link
    assert "error_log /var/log/nginx/error.log crit;" in link


def test_the_proxy_keeps_no_answer_and_says_no_version() -> None:
    assert values_of("proxy_cache") == []
    assert "autoindex" not in NGINX
    assert values_of("server_tokens") == ["off"]


def test_what_the_proxy_answers_itself_has_the_headers_too() -> None:
    """Too large, no worker there: where Dossier has set one, the variable is empty, and nginx adds none."""
    added = dict(value.split(" ", 1) for value in values_of("add_header", ENCRYPTED))
    assert added == {
        "X-Content-Type-Options": "$own_sniffing always",
        "Content-Security-Policy": "$own_policy always",
        "Strict-Transport-Security": "$own_hsts always",
    }
    maps = re.findall(r'^map \$upstream_http_(\w+) (\$\w+) \{ "" (.+); \}$', NGINX, re.MULTILINE)
    assert maps == [
        ("x_content_type_options", "$own_sniffing", "nosniff"),
        ("content_security_policy", "$own_policy", "\"default-src 'none'; frame-ancestors 'none'\""),
        ("strict_transport_security", "$own_hsts", f"max-age={A_YEAR_SECONDS}"),
    ]
    assert values_of("charset", ENCRYPTED) == ["utf-8"]


def test_the_proxy_starts_with_its_buffers() -> None:
    """All but one of the buffers must hold twice the first part of an answer."""
    (first,), ((number, size),) = (
        values_of("proxy_buffer_size"),
        [value.split() for value in values_of("proxy_buffers")],
    )
    assert size == first
    assert int(number) - 1 > 2


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("User", "dossier"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("CapabilityBoundingSet", ""),
        ("SystemCallFilter", "@system-service"),
        ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
        ("IPAddressDeny", "any"),
        ("IPAddressAllow", "localhost"),
    ],
)
def test_the_service_may_do_no_more_than_serve(setting: str, value: str) -> None:
    assert UNIT[setting] == value


@pytest.mark.parametrize(
    "command",
    [
        "sudo chown root:dossier .env",
        "sudo chmod 640 .env",
        "sudo chmod 700 .git",
        "CREATE ROLE dossier LOGIN",
    ],
)
def test_secrets_and_the_history_of_the_code_are_kept_from_others(command: str) -> None:
    assert re.search(rf"^{re.escape(command)}", DOCUMENT, re.MULTILINE)


def test_what_only_tests_need_is_not_installed() -> None:
    installed = re.findall(r"pip install .*", DOCUMENT)
    assert installed
    assert not any("[test]" in line for line in installed)
    assert "\nDEBUG=" not in DOCUMENT
