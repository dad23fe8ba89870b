# Debian's slapd with the small company of company.ldif, made anew at each start.
FROM debian:bookworm-slim
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends slapd ldap-utils \
    && rm -rf /var/lib/apt/lists/*
COPY slapd.conf company.ldif /etc/company/
COPY --chmod=755 openldap.sh /usr/local/bin/openldap
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/openldap"]
