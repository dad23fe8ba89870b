package state

import (
	"slices"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
)

// memberSet holds the members that one origin put into a group. It is replaced, never
// changed, and what it costs to replace one chunk does not grow with the group: chunks
// lie in pages that versions share.
type memberSet struct {
	generation
	pages [][]chunk // by bucket
	count int
	rev   store.Revision // of the chunk that was last written
	when  int64          // it was, in milliseconds of the epoch; 0: not known
}

// chunk is one stored chunk. It is replaced, never changed.
type chunk struct {
	refs   []ref // sorted
	rev    store.Revision
	when   int64 // it was written, in milliseconds of the epoch; 0: not known
	unread bool  // written by a version that this one does not understand
}

// pageChunks is how many chunks lie in a page.
const pageChunks = 64

// newMemberSet returns the set of all chunks of a generation, by bucket. It keeps them.
func newMemberSet(g generation, chunks []chunk) memberSet {
	s := memberSet{generation: g, pages: slices.Collect(slices.Chunk(chunks, pageChunks))}
	for i := range chunks {
		s.count += len(chunks[i].refs)
		s.rev, s.when = max(s.rev, chunks[i].rev), max(s.when, chunks[i].when)
	}
	return s
}

// at returns the chunk of a bucket; of one that there is not, an empty one.
func (s *memberSet) at(bucket uint32) chunk {
	page, i := int(bucket/pageChunks), int(bucket%pageChunks)
	if page >= len(s.pages) || i >= len(s.pages[page]) {
		return chunk{}
	}
	return s.pages[page][i]
}

// chunks yields all chunks, in the order of their buckets.
func (s *memberSet) chunks(yield func(chunk) bool) {
	for _, page := range s.pages {
		for _, c := range page {
			if !yield(c) {
				return
			}
		}
	}
}

// refs yields all members.
func (s *memberSet) refs(yield func(ref) bool) {
	for _, page := range s.pages {
		for i := range page {
			for _, r := range page[i].refs {
				if !yield(r) {
					return
				}
			}
		}
	}
}

// has looks for a member in every chunk.
func (s *memberSet) has(r ref) bool {
	for _, page := range s.pages {
		for i := range page {
			if _, ok := slices.BinarySearch(page[i].refs, r); ok {
				return true
			}
		}
	}
	return false
}

// holds is has for a member whose id is known: it looks into his chunk only.
func (s *memberSet) holds(m identity.Member, r ref) bool {
	if s.Buckets == 0 {
		return false
	}
	_, ok := slices.BinarySearch(s.at(s.bucket(m)).refs, r)
	return ok
}

// equal reports whether two sets are the same version. It compares no members.
func (s *memberSet) equal(o *memberSet) bool {
	return s.generation == o.generation && len(s.pages) == len(o.pages) &&
		(len(s.pages) == 0 || &s.pages[0] == &o.pages[0])
}

func (s *memberSet) len() int { return s.count }

// with returns the set with one chunk replaced, and leaves s as it is. The bucket is one
// of the generation.
func (s memberSet) with(bucket uint32, c chunk) memberSet {
	s.pages = slices.Clone(s.pages)
	page := slices.Clone(s.pages[bucket/pageChunks])
	s.pages[bucket/pageChunks] = page
	s.count += len(c.refs) - len(page[bucket%pageChunks].refs)
	s.rev, s.when = max(s.rev, c.rev), max(s.when, c.when)
	page[bucket%pageChunks] = c
	return s
}
