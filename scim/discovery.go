package scim

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/rollcall-id/rollcall/scim/schema"
)

const listURN = "urn:ietf:params:scim:api:messages:2.0:ListResponse"

// Limits that discovery tells of.
const (
	maxOperations = 1000    // of a bulk request
	maxBulk       = 1 << 20 // bytes of a bulk request
	maxPage       = 1000
	defaultPage   = 100
)

// providerConfig is what GET /ServiceProviderConfig does: RFC 7643, section 5, and RFC
// 9865, section 4.
func (c *call) providerConfig() (*reply, error) {
	if err := c.noFilter(); err != nil {
		return nil, err
	}
	b := []byte(`{"schemas":["` + schema.ProviderConfigURN + `"],` +
		`"patch":{"supported":true},` +
		`"bulk":{"supported":true,"maxOperations":` + itoa(maxOperations) + `,"maxPayloadSize":` + itoa(maxBulk) + `},` +
		`"filter":{"supported":true,"maxResults":` + itoa(maxPage) + `},` +
		`"changePassword":{"supported":false},` +
		`"sort":{"supported":true},` +
		`"etag":{"supported":true},` +
		`"pagination":{"cursor":true,"index":true,"defaultPaginationMethod":"index","defaultPageSize":` + itoa(defaultPage) +
		`,"maxPageSize":` + itoa(maxPage) + `,"cursorTimeout":` + itoa(int(cursorLife.Seconds())) + `},` +
		`"authenticationSchemes":[{"type":"oauthbearertoken","name":"Bearer token",` +
		`"description":"A token of this source, in the header Authorization: Bearer","specUri":"https://www.rfc-editor.org/info/rfc6750","primary":true}],` +
		`"meta":{"resourceType":"ServiceProviderConfig","location":`)
	at := c.base() + "/ServiceProviderConfig"
	b = schema.AppendString(b, at)
	return &reply{status: http.StatusOK, at: at, body: append(b, `}}`...)}, nil
}

// noFilter refuses a filter where RFC 7644, section 4, allows none.
func (c *call) noFilter() error {
	if c.query.Has("filter") {
		return refuse(http.StatusForbidden, "", "discovery takes no filter")
	}
	return nil
}

func (c *call) resourceTypes() (*reply, error) {
	var all []shown
	for _, k := range c.endpoint.kinds {
		at := c.base() + "/ResourceTypes/" + k.typ.Name
		all = append(all, shown{k.typ.Name, at, k.typ.JSONAt(at)})
	}
	return c.show(all, "resource type")
}

func (c *call) schemas() (*reply, error) {
	var all []shown
	seen := map[string]bool{}
	add := func(s *schema.Schema) {
		if !seen[s.ID] {
			seen[s.ID] = true
			at := c.base() + "/Schemas/" + s.ID
			all = append(all, shown{s.ID, at, s.JSONAt(at)})
		}
	}
	for _, k := range c.endpoint.kinds {
		add(k.typ.Core)
		for _, x := range k.typ.Extensions {
			add(x.Schema)
		}
	}
	// Clients take what is listed for schemas of resources, and look for their types. Who
	// asks for one of RFC 7643, section 8.7.2, by its URN gets it.
	if strings.Contains(c.path[1:], "/") {
		for _, s := range schema.Service() {
			add(s)
		}
	}
	return c.show(all, "schema")
}

// shown is something that discovery shows.
type shown struct {
	id   string
	at   string // where it is
	body []byte
}

// show answers with one of them, by id in any case, or with all.
func (c *call) show(all []shown, what string) (*reply, error) {
	if err := c.noFilter(); err != nil {
		return nil, err
	}
	if _, id, one := strings.Cut(c.path[1:], "/"); one {
		for _, s := range all {
			if strings.EqualFold(s.id, id) {
				return &reply{status: http.StatusOK, at: s.at, body: s.body}, nil
			}
		}
		return nil, notFound("the " + what + " " + clip(id))
	}
	bodies := make([][]byte, len(all))
	for i, s := range all {
		bodies[i] = s.body
	}
	b := []byte(`{"schemas":["` + listURN + `"],"totalResults":` + itoa(len(all)) + `,"startIndex":1,"itemsPerPage":` + itoa(len(all)) + `,"Resources":[`)
	return &reply{status: http.StatusOK, body: append(append(b, bytes.Join(bodies, []byte{','})...), `]}`...)}, nil
}

// me is what /Me does: a token stands for a provider, and not for a user.
func (c *call) me() (*reply, error) {
	return nil, refuse(http.StatusNotImplemented, "", "a token of a source stands for no user: ask for /Users")
}
