package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"iter"
	"slices"
)

// Approval is what a person agreed to: the steps of the kinds for which a plan was
// held. It says nothing of when it ends; package sync does.
type Approval struct {
	Digest string `json:"digest"`
	Config string `json:"config"`
	// Steps holds a fingerprint for each approved step, sorted. Of a change of
	// members, each removed member is a step of its own.
	Steps []byte `json:"steps"`
}

// fingerprintSize is enough that nobody can make a step that passes for another.
const fingerprintSize = 16

// Approval returns what approving the held plan means. The plan may have been put
// away as JSON since it was held.
func (p *Plan) Approval(l Limits) Approval {
	steps := p.touched(l)
	return Approval{Digest: p.digest(steps), Config: p.Config, Steps: steps}
}

// Covered reports whether the plan may run under the approval: no limit is crossed,
// or the steps of all kinds that cross one were approved under the same
// configuration. The directory may have moved since, so fewer steps than were
// approved are fine, and one other is not.
func (p *Plan) Covered(a Approval, l Limits) bool {
	steps := p.touched(l)
	if len(steps) == 0 {
		return p.Guard(l) == nil
	}
	if a.Config != p.Config || len(a.Steps)%fingerprintSize != 0 {
		return false
	}
	approved := slices.Collect(slices.Chunk(a.Steps, fingerprintSize))
	for f := range slices.Chunk(steps, fingerprintSize) {
		if _, ok := slices.BinarySearchFunc(approved, f, bytes.Compare); !ok {
			return false
		}
	}
	return true
}

// digest covers the source, the configuration and the steps.
func (p *Plan) digest(steps []byte) string {
	h := sha256.New()
	h.Write(spell("plan 1", string(p.Source), p.Config))
	h.Write(steps)
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// touched returns the sorted fingerprints of all steps of the kinds that cross a
// limit.
func (p *Plan) touched(l Limits) []byte {
	crossed := map[string]bool{}
	for _, c := range p.checks(l) {
		if c.over {
			crossed[c.crossing()] = true
		}
	}
	if len(crossed) == 0 {
		return nil
	}
	var all [][]byte
	for f := range p.fingerprints(l, crossed) {
		all = append(all, f[:fingerprintSize:fingerprintSize])
	}
	slices.SortFunc(all, bytes.Compare)
	return slices.Concat(slices.CompactFunc(all, bytes.Equal)...)
}

// fingerprints yields one hash for each step of the crossed kinds, and for each thing
// that somebody gains where that is crossed.
func (p *Plan) fingerprints(l Limits, crossed map[string]bool) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range p.Steps {
			s := &p.Steps[i]
			for text := range s.guarded(l, crossed) {
				if sum := sha256.Sum256(text); !yield(sum[:]) {
					return
				}
			}
		}
		if crossed[Raises] {
			for text := range p.raiseTexts {
				if sum := sha256.Sum256(text); !yield(sum[:]) {
					return
				}
			}
		}
	}
}

// guarded yields what of a step falls under the crossed kinds, spelled out. Keys
// decide and names do not: a name may change between two runs.
func (s *Step) guarded(l Limits, crossed map[string]bool) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		op, key := s.Op.String(), string(s.Key)
		whole := false
		switch s.Op {
		case CreateUser:
			whole = crossed[Creations] || crossed[FirstRun]
		case CreateGroup:
			whole = crossed[FirstRun] || crossed[GroupsCreated]
		case DeactivateUser:
			whole = crossed[Deactivations] || crossed[EmptyAnswer]
		case DeactivateGroup:
			whole = crossed[GroupsRemoved] || crossed[EmptyAnswer]
		case UpdateUser:
			s.guardedFields(crossed, yield)
		case ChangeMembers:
			s.guardedRows(l, crossed, yield)
		}
		if whole {
			yield(spell(op, key))
		}
	}
}

func (s *Step) guardedRows(l Limits, crossed map[string]bool, yield func([]byte) bool) {
	if crossed[MembersRemoved] || crossed[OneGroup] && l.OneGroup.over(len(s.Remove), s.MembersKnown) {
		if !s.guardedMembers("remove_member", s.Remove, yield) {
			return
		}
	}
	if crossed[MembersAdded] {
		s.guardedMembers("add_member", s.Add, yield)
	}
}

func (s *Step) guardedMembers(what string, members []MemberKey, yield func([]byte) bool) (more bool) {
	for _, m := range members {
		kind := User
		if m.Group {
			kind = Group
		}
		if !yield(spell(what, string(s.Key), kind.String(), string(m.Key))) {
			return false
		}
	}
	return true
}

func (s *Step) guardedFields(crossed map[string]bool, yield func([]byte) bool) {
	if c := s.change("name"); crossed[NamesChanged] && c != nil {
		if !yield(spell("rename", string(s.Key), first(c.Before), first(c.After))) {
			return
		}
	}
	for i := range s.Changes {
		if c := &s.Changes[i]; crossed[FieldChanged+c.Field] && c.churns() {
			if !yield(spell(append([]string{"change", string(s.Key), c.Field}, c.After...)...)) {
				return
			}
		}
	}
}

// change returns the change of one field, or nil.
func (s *Step) change(field string) *Change {
	i := slices.IndexFunc(s.Changes, func(c Change) bool { return c.Field == field })
	if i < 0 {
		return nil
	}
	return &s.Changes[i]
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// spell writes each part with its length before it, so that no two lists of parts
// have one spelling.
func spell(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}
