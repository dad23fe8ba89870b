package access

import (
	"net/url"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/identity"
)

// OIDCConfig is the section "oidc" of the configuration: whose signed tokens count,
// and how they name a user. Without an issuer none count.
type OIDCConfig struct {
	// Issuer is the https address that the tokens carry as "iss", and under which the
	// provider describes itself and its keys.
	Issuer string `yaml:"issuer"`
	// Audience is who the tokens must be for: "aud".
	Audience string `yaml:"audience"`
	// UserClaim is the claim that holds the login name; default preferred_username.
	UserClaim string `yaml:"user_claim"`
	// Source is the source whose users the claim names.
	Source string `yaml:"source"`
	// CAFile holds the certificates, in PEM, that the issuer's must come from; default:
	// those of the system.
	CAFile string `yaml:"ca_file"`
	// Algorithms are those that a signature may use; default: every asymmetric one.
	Algorithms []string `yaml:"algorithms"`
}

// DefaultUserClaim is the claim that names the user unless another is chosen.
const DefaultUserClaim = "preferred_username"

// algorithms are the signatures that can be trusted: made with a key that only the
// issuer has. With a shared secret (HS256) whoever can check a token can make one, and
// "none" is no signature.
var algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// Enabled reports whether signed tokens count at all.
func (c *OIDCConfig) Enabled() bool { return c.Issuer != "" }

// Validate reports everything that is wrong with the section.
func (c *OIDCConfig) Validate(p *config.Problems) {
	if !c.Enabled() {
		if c.Audience+c.UserClaim+c.Source+c.CAFile != "" || len(c.Algorithms) > 0 {
			p.Add("issuer", "say whose tokens count: the https address of the identity provider")
		}
		return
	}
	if !isIssuer(c.Issuer) {
		p.Add("issuer", "%q is not an https address without query and fragment", c.Issuer)
	}
	if c.Audience == "" {
		p.Add("audience", "say who the tokens must be for: without it a token that was made for any other application would count here")
	}
	switch _, err := identity.ParseSourceID(c.Source); {
	case c.Source == "":
		p.Add("source", "say whose users the tokens name: a source's name, or local")
	case err != nil:
		p.Add("source", "%v", err)
	}
	if strings.ContainsFunc(c.UserClaim, func(r rune) bool { return r <= ' ' }) {
		p.Add("user_claim", "%q is not the name of a claim", c.UserClaim)
	}
	for _, a := range c.Algorithms {
		if !slices.Contains(algorithms, a) {
			p.Add("algorithms", "%q is none of %s", a, strings.Join(algorithms, ", "))
		}
	}
}

// isIssuer reports whether text is an issuer identifier (OpenID Connect Core §1.2).
func isIssuer(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.RawQuery == "" && u.Fragment == "" && u.User == nil
}
