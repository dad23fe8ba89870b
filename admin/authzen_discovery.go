package admin

import (
	"net"
	"net/http"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"
)

// discovery is the metadata of the policy decision point: AuthZEN 1.0, section 9.
type discovery struct {
	Point          string `json:"policy_decision_point"`
	Evaluation     string `json:"access_evaluation_endpoint"`
	Evaluations    string `json:"access_evaluations_endpoint"`
	SearchSubject  string `json:"search_subject_endpoint"`
	SearchResource string `json:"search_resource_endpoint"`
	SearchAction   string `json:"search_action_endpoint"`
}

// hostPort is what the Host header of a request may be to come back in an answer.
var hostPort = regexp.MustCompile(`^([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?$`)

// discover says where the endpoints are: at the public URL or, where the configuration
// names none, where the document itself was asked for. It needs no credential.
func (a *API) discover(w http.ResponseWriter, r *http.Request) {
	base := a.url
	if base == "" {
		if !hostPort.MatchString(r.Host) {
			a.refusePlainly(w, r, badRequest("the header Host names no host"))
			return
		}
		base = scheme(r) + "://" + r.Host
	}
	body, err := json.Marshal(discovery{
		Point: base, Evaluation: base + pathEvaluation, Evaluations: base + pathEvaluations,
		SearchSubject: base + pathSearchSubject, SearchResource: base + pathSearchResource, SearchAction: base + pathSearchAction,
	})
	if err != nil {
		a.refusePlainly(w, r, err)
		return
	}
	a.send(w, r, body)
}

// scheme is https, as the specification wants it: a daemon that speaks cleartext has
// something before it that does not. Only on the machine itself there is nothing.
func scheme(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = strings.Trim(r.Host, "[]")
	}
	if ip := net.ParseIP(host); r.TLS == nil && (host == "localhost" || ip != nil && ip.IsLoopback()) {
		return "http"
	}
	return "https"
}
