"""Makes the accounts svc-reader, svc-sync and svc-blind in a Samba database.

Arguments: smb.conf, sam.ldb, and the passwords of the three.
"""
import sys

import ldb
from samba.auth import system_session
from samba.dcerpc import security
from samba.ndr import ndr_pack, ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB

conf, sam = sys.argv[1:3]
params = LoadParm()
params.load(conf)
db = SamDB(url=sam, lp=params, session_info=system_session(params))
domain = security.dom_sid(db.get_domain_sid())
everything = db.domain_dn()


def allow(dn, ace, controls):
    """Puts an entry before all others of an object's access control list."""
    controls = controls + ["sd_flags:1:4"]
    found = db.search(dn, ldb.SCOPE_BASE, attrs=["nTSecurityDescriptor"], controls=controls)
    flags, aces = ndr_unpack(security.descriptor, found[0]["nTSecurityDescriptor"][0]).as_sddl(domain).split("(", 1)
    new = security.descriptor.from_sddl(flags + ace + "(" + aces, domain)
    m = ldb.Message(ldb.Dn(db, dn))
    m["nTSecurityDescriptor"] = ldb.MessageElement(ndr_pack(new), ldb.FLAG_MOD_REPLACE, "nTSecurityDescriptor")
    db.modify(m, controls + ["relax:0"])


for name, password in zip(("svc-reader", "svc-sync", "svc-blind"), sys.argv[3:]):
    db.newuser(name, password)
    found = db.search(everything, ldb.SCOPE_SUBTREE, "(sAMAccountName=%s)" % name, ["objectSid"])
    sid = ndr_unpack(security.dom_sid, found[0]["objectSid"][0])
    if name != "svc-reader":  # Replicating Directory Changes
        allow(everything, "(OA;;CR;1131f6aa-9c07-11d1-f79f-00c04fc2dcd2;;%s)" % sid, [])
    if name == "svc-sync":  # list and read; samba-tool does not find a deleted container
        allow("CN=Deleted Objects," + everything, "(A;;RPLC;;;%s)" % sid, ["show_deleted:1"])
