package persist

// Ref returns a pointer to the element with an index, for readers that do not want
// to copy a large one. What it points to is shared and must not be changed.
func (v *Vector[T]) Ref(i int) *T { return v.ref(i) }
