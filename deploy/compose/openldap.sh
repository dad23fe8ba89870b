#!/bin/sh
# Loads the company and serves it in the foreground. The password of the account that
# Rollcall reads with is in LDAP_PASSWORD.
set -eu
dir=${1:-/run/slapd}
mkdir -p "$dir/db"
sed "s|@DIR@|$dir|" /etc/company/slapd.conf >"$dir/slapd.conf"
{
	cat /etc/company/company.ldif
	printf '\ndn: cn=rollcall,dc=example,dc=com\nobjectClass: applicationProcess\nobjectClass: simpleSecurityObject\n'
	printf 'cn: rollcall\nuserPassword: %s\n' "$(slappasswd -n -s "$LDAP_PASSWORD")"
} | slapadd -q -f "$dir/slapd.conf"
exec slapd -f "$dir/slapd.conf" -h "ldap://0.0.0.0:1389" -d none
