#!/bin/sh
# Installs what the tests need besides Go: OpenLDAP's slapd, 389 Directory Server,
# Samba as an Active Directory, and a C compiler for the race detector. The tests start
# these servers themselves, on 127.0.0.1 and in temporary directories; nothing here
# starts one.
# Run by "make test"; safe to run again.
set -eu

packages="slapd ldap-utils 389-ds-base samba samba-ad-dc samba-ad-provision samba-dsdb-modules winbind ldb-tools gcc libc6-dev"

# missing prints what cannot be found. Servers live in sbin, which is not in every PATH.
missing() {
	PATH="$PATH:/usr/sbin:/sbin:/usr/local/sbin:/usr/local/libexec:/usr/libexec"
	for program in slapd slapadd ldapsearch ldapmodify ns-slapd pk12util samba samba-tool ldbmodify cc; do
		command -v "$program" >/dev/null 2>&1 || printf '%s ' "$program"
	done
	# What a new domain is made of is a package of its own on Debian.
	for dir in /usr/share/samba/setup /usr/local/samba/share/setup /usr/local/share/samba/setup; do
		[ ! -e "$dir/provision.ldif" ] || return 0
	done
	printf 'provision.ldif '
}

wanted=$(missing)
[ -n "$wanted" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
	cat >&2 <<-EOT
	The tests start real directory servers, and this is missing: $wanted
	Install OpenLDAP's server and clients, 389 Directory Server, Samba with its AD DC, ldb's tools and a C compiler:
	  Fedora, RHEL   openldap-servers openldap-clients 389-ds-base samba-dc ldb-tools gcc
	  openSUSE       openldap2 openldap2-client 389-ds samba-ad-dc ldb-tools gcc
	  Arch           openldap samba gcc; 389-ds-base from the AUR
	  macOS          run the tests in a Debian container; Samba's AD DC does not run there
	Then run make test again.
	EOT
	exit 1
fi

sudo=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null 2>&1 || ! sudo -n true 2>/dev/null; then
		echo "The tests start real directory servers, and this is missing: $wanted" >&2
		echo "As root: apt-get update && apt-get install $packages" >&2
		exit 1
	fi
	sudo=sudo
fi

# Packages of servers start them. A policy that says no keeps the machine quiet; one
# that was there already stays as it is.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
	$sudo chmod 755 "$policy"
	trap '$sudo rm -f "$policy"' EXIT
fi

echo "installing $packages"
$sudo apt-get -q -o DPkg::Lock::Timeout=300 update
# shellcheck disable=SC2086 # the list is meant to split
$sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
	install --no-install-recommends $packages

wanted=$(missing)
if [ -n "$wanted" ]; then
	echo "still missing after the installation: $wanted" >&2
	exit 1
fi
