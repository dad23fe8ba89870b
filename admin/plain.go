package admin

import (
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rollcall-id/rollcall/audit"
)

// What is served without huma is described here: the endpoints whose form others have
// laid down, and the document itself.

// AccessSubject is who something is asked about.
type AccessSubject struct {
	Type       string         `json:"type" doc:"user or service" example:"user"`
	ID         string         `json:"id,omitzero" doc:"An id, a login name, or <source>/<login name>; left out in a search for subjects" example:"ann"`
	Properties map[string]any `json:"properties,omitzero" doc:"Is read and not used"`
}

// AccessAction is what somebody wants to do.
type AccessAction struct {
	Name       string         `json:"name" doc:"A permission, or subscribe" example:"GOVERNANCE"`
	Properties map[string]any `json:"properties,omitzero" doc:"Is read and not used"`
}

// AccessResource is with what somebody wants to do it: permissions count everywhere.
type AccessResource struct {
	Type       string         `json:"type" example:"application"`
	ID         string         `json:"id,omitzero" doc:"Left out in a search for resources" example:"warehouse"`
	Properties map[string]any `json:"properties,omitzero" doc:"Is read and not used"`
}

// AccessContext is under which circumstances it is asked.
type AccessContext struct {
	MinRevision int64 `json:"min_revision,omitzero" doc:"Answer from this revision or a newer one"`
}

// AccessQuestion is one question: AuthZEN 1.0, section 6.
type AccessQuestion struct {
	Subject  AccessSubject  `json:"subject"`
	Action   AccessAction   `json:"action"`
	Resource AccessResource `json:"resource"`
	Context  AccessContext  `json:"context,omitzero"`
}

// AccessItem is one of several questions; what it leaves out is taken from the request.
type AccessItem struct {
	Subject  *AccessSubject  `json:"subject,omitzero"`
	Action   *AccessAction   `json:"action,omitzero"`
	Resource *AccessResource `json:"resource,omitzero"`
	Context  *AccessContext  `json:"context,omitzero"`
}

// AccessOptions say how several questions are answered.
type AccessOptions struct {
	Semantic string `json:"evaluations_semantic,omitzero" enum:"execute_all,deny_on_first_deny,permit_on_first_permit" doc:"Where to stop"`
}

// AccessQuestions are several questions: AuthZEN 1.0, section 7.
type AccessQuestions struct {
	AccessItem
	Evaluations []AccessItem  `json:"evaluations,omitempty" maxItems:"1000" doc:"The questions; without any, the request is one itself"`
	Options     AccessOptions `json:"options,omitzero"`
}

// AccessDecision is the answer to a question.
type AccessDecision struct {
	Decision bool          `json:"decision"`
	Context  AccessReasons `json:"context"`
}

// AccessReasons say where a decision comes from.
type AccessReasons struct {
	Reason     string       `json:"reason,omitzero" doc:"Why not" example:"not_granted"`
	Status     string       `json:"status,omitzero" doc:"Why the user is inactive"`
	Setting    string       `json:"setting,omitzero" doc:"What withholds the permission; for callers who may read more than decisions"`
	Grant      string       `json:"grant,omitzero" doc:"Id of a grant that gives it; for callers who may read more than decisions"`
	Through    string       `json:"through,omitzero" doc:"Id of the group that leads to the grant"`
	Error      *AccessError `json:"error,omitzero" doc:"Why one of several questions could not be answered: it is a no"`
	Revision   int64        `json:"revision"`
	StaleSince string       `json:"stale_since,omitzero" format:"date-time" doc:"Set while the store does not answer"`
}

// AccessError says what is wrong with one of several questions.
type AccessError struct {
	Status  int    `json:"status" example:"400"`
	Message string `json:"message"`
}

// AccessDecisions are the answers to several questions, in their order.
type AccessDecisions struct {
	Evaluations []AccessDecision `json:"evaluations"`
}

// AccessPage says which part of a search is wanted.
type AccessPage struct {
	Token string `json:"token,omitzero" doc:"That of the page before"`
	Limit int    `json:"limit,omitzero" doc:"How many at most"`
}

// AccessSearch asks who, what or with what: AuthZEN 1.0, section 8. What is searched for
// is left out.
type AccessSearch struct {
	AccessItem
	Page *AccessPage `json:"page,omitzero"`
}

// AccessResults are what a search found.
type AccessResults struct {
	Results []AccessResult `json:"results"`
	Page    AccessNext     `json:"page"`
	Context AccessReasons  `json:"context"`
}

// AccessResult is a subject or a resource, with type and id, or an action, with a name.
type AccessResult struct {
	Type string `json:"type,omitzero"`
	ID   string `json:"id,omitzero"`
	Name string `json:"name,omitzero"`
}

// AccessNext says how a search goes on.
type AccessNext struct {
	NextToken string `json:"next_token" doc:"Empty after the last page"`
	Count     int    `json:"count,omitzero" doc:"How many are in this page"`
	Total     int    `json:"total,omitzero" doc:"How many there are"`
}

// UserInfo is what a product learns of a user that asks for groups and authorizations.
type UserInfo struct {
	Groups         []UserInfoGroup     `json:"groups"`
	Authorizations map[string][]string `json:"authorizations" doc:"Attributes with their values"`
}

// UserInfoGroup is a group that a user is in, directly or by nesting.
type UserInfoGroup struct {
	Name string `json:"name"`
}

// AccessConfiguration says where the endpoints are: AuthZEN 1.0, section 9.
type AccessConfiguration struct {
	Point          string `json:"policy_decision_point" doc:"The decision point itself" format:"uri" example:"https://localhost:8443"`
	Evaluation     string `json:"access_evaluation_endpoint" doc:"Where one question is asked" format:"uri" example:"https://localhost:8443/access/v1/evaluation"`
	Evaluations    string `json:"access_evaluations_endpoint" doc:"Where several are" format:"uri" example:"https://localhost:8443/access/v1/evaluations"`
	SearchSubject  string `json:"search_subject_endpoint" doc:"Where subjects are searched" format:"uri" example:"https://localhost:8443/access/v1/search/subject"`
	SearchResource string `json:"search_resource_endpoint" doc:"Where resources are" format:"uri" example:"https://localhost:8443/access/v1/search/resource"`
	SearchAction   string `json:"search_action_endpoint" doc:"Where actions are" format:"uri" example:"https://localhost:8443/access/v1/search/action"`
}

// plainOperation is one that huma does not serve.
type plainOperation struct {
	id, method, path, tag, summary, media string
	need                                  need
	body, answer                          reflect.Type
	errors                                []int
	errorsAs                              string // the media type of errors
	basic                                 bool   // HTTP Basic counts, too
}

// describePlain puts what is served without huma into the document.
func (a *API) describePlain() {
	const text, problem = "text/plain", "application/problem+json"
	asked := []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}
	access := func(id, path, summary string, body, answer reflect.Type) plainOperation {
		return plainOperation{id: id, method: http.MethodPost, path: path, tag: "AuthZEN", summary: summary, media: "application/json", need: deciding, body: body, answer: answer, errors: asked, errorsAs: text}
	}
	document := func(id, path, media, summary string) plainOperation {
		return plainOperation{id: id, method: http.MethodGet, path: path, tag: "Document", summary: summary, media: media, need: nobody, answer: reflect.TypeFor[string]()}
	}
	search := reflect.TypeFor[AccessSearch]()
	found := reflect.TypeFor[AccessResults]()
	for _, o := range []plainOperation{
		access("accessEvaluation", pathEvaluation, "Decide one question", reflect.TypeFor[AccessQuestion](), reflect.TypeFor[AccessDecision]()),
		access("accessEvaluations", pathEvaluations, "Decide up to 1000 questions", reflect.TypeFor[AccessQuestions](), reflect.TypeFor[AccessDecisions]()),
		access("accessSearchSubject", pathSearchSubject, "Search who may do something", search, found),
		access("accessSearchResource", pathSearchResource, "Search with what somebody may do something", search, found),
		access("accessSearchAction", pathSearchAction, "Search what somebody may do", search, found),
		{
			id: "accessConfiguration", method: http.MethodGet, path: pathDiscovery, tag: "AuthZEN", summary: "Show where the endpoints are", media: "application/json",
			need: nobody, answer: reflect.TypeFor[AccessConfiguration](), errors: []int{http.StatusBadRequest}, errorsAs: text,
		},
		{
			id: "userInfo", method: http.MethodGet, path: "/user-info", tag: "Answers", summary: "Show the groups and authorizations of a user", media: "application/json",
			need: feeding, answer: reflect.TypeFor[UserInfo](), basic: true, errorsAs: problem,
			errors: []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable},
		},
		document("openAPI", "/openapi.json", "application/openapi+json", "Show this document as JSON"),
		document("openAPIAsYAML", "/openapi.yaml", "application/openapi+yaml", "Show this document as YAML"),
		document("listOperations", "/docs", "text/html", "Show a page that lists the operations"),
	} {
		a.describeOne(&o)
	}
	a.huma.OpenAPI().Components.SecuritySchemes["basic"] = &huma.SecurityScheme{
		Type: "http", Scheme: "basic", Description: "For /user-info only: an API key as the password, with any user name; over TLS",
	}
}

func (a *API) describeOne(o *plainOperation) {
	doc := a.huma.OpenAPI()
	op := &huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Summary: o.summary, Tags: []string{o.tag},
		Extensions: o.need.extensions(), Responses: map[string]*huma.Response{},
	}
	if o.method == http.MethodPost {
		op.Extensions["x-reads-only"] = true
	}
	schemaOf := func(t reflect.Type) *huma.Schema { return doc.Components.Schemas.Schema(t, true, t.Name()) }
	if !o.need.open {
		op.Security = []map[string][]string{{"apiKey": {}}}
		if o.basic {
			op.Security = append(op.Security, map[string][]string{"basic": {}})
		}
	}
	if o.id == "userInfo" {
		op.Parameters = []*huma.Param{{
			Name: "userid", In: "query", Required: true, Schema: &huma.Schema{Type: huma.TypeString}, Example: "ann",
			Description: "An id, a login name, or <source>/<login name>",
		}}
	}
	if !o.need.open {
		op.Parameters = append(op.Parameters, impersonated())
	}
	if o.body != nil {
		op.RequestBody = &huma.RequestBody{
			Required: true, Description: "The question; members that are not known are ignored, as the specification asks",
			Content: map[string]*huma.MediaType{"application/json": {Schema: schemaOf(o.body)}},
		}
	}
	op.Responses["200"] = &huma.Response{Description: "OK", Content: map[string]*huma.MediaType{o.media: {Schema: schemaOf(o.answer)}}}
	for _, status := range o.errors {
		r := &huma.Response{Description: failures[status], Content: map[string]*huma.MediaType{o.errorsAs: {}}}
		if o.errorsAs == "text/plain" {
			r.Content[o.errorsAs].Schema = &huma.Schema{Type: huma.TypeString, Description: "What is wrong, in a sentence", Examples: []any{"the body is empty"}}
		}
		if status == http.StatusTooManyRequests {
			r.Headers = map[string]*huma.Param{"Retry-After": {Description: "After how many seconds to ask again", Schema: &huma.Schema{Type: huma.TypeInteger, Format: "int64", Examples: []any{int64(2)}}}}
		}
		op.Responses[strconv.Itoa(status)] = r
	}
	doc.AddOperation(op)
}

// The media types of answers that are no JSON as a whole.
const (
	eventStream = "text/event-stream"
	jsonLines   = "application/x-ndjson"
)

// streamed returns the schema of what a stream is made of: each event's data, each line,
// or nothing but bytes.
func (a *API) streamed(o *operation) *huma.Schema {
	var item reflect.Type
	switch o.id {
	case "followEvents":
		item = reflect.TypeFor[ChangeEvent]()
	case "followAudit", "exportAudit":
		item = reflect.TypeFor[audit.Envelope]()
	default:
		return &huma.Schema{Type: huma.TypeString, Format: "binary", Description: "The file", Examples: []any{""}}
	}
	return a.huma.OpenAPI().Components.Schemas.Schema(item, true, item.Name())
}
