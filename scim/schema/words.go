package schema

// The words of RFC 7643 for each characteristic, in the order of the constants.
var (
	types        = []string{"string", "boolean", "decimal", "integer", "dateTime", "binary", "reference", "complex"}
	mutabilities = []string{"readWrite", "readOnly", "immutable", "writeOnly"}
	returneds    = []string{"default", "always", "never", "request"}
	uniquenesses = []string{"none", "server", "global"}
)

// String returns the type's name in the RFC.
func (t Type) String() string { return types[t] }

// String returns the mutability's name in the RFC.
func (m Mutability) String() string { return mutabilities[m] }

// String returns the name in the RFC.
func (r Returned) String() string { return returneds[r] }

// String returns the uniqueness's name in the RFC.
func (u Uniqueness) String() string { return uniquenesses[u] }
