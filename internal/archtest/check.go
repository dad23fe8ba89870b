package archtest

import (
	"fmt"
	"go/ast"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// findings collects what is wrong, as "where: what, and what to do".
type findings []string

func (f *findings) add(where, format string, args ...any) {
	*f = append(*f, where+": "+fmt.Sprintf(format, args...))
}

// check holds the files and the directories of the root against the rules.
func check(root fs.FS) ([]string, error) {
	files, err := read(root)
	if err != nil {
		return nil, err
	}
	var found findings
	if err := checkTopLevel(root, &found); err != nil {
		return nil, err
	}
	for i := range files {
		checkImports(&files[i], &found)
		checkHabits(&files[i], &found)
	}
	checkComments(files, &found)
	slices.Sort(found)
	return slices.Compact(found), nil
}

func checkTopLevel(root fs.FS, found *findings) error {
	entries, err := fs.ReadDir(root, ".")
	if err != nil {
		return err
	}
	allowed := slices.Clone(topLevel)
	for dir := range maps.Keys(floors) {
		first, _, _ := strings.Cut(dir, "/")
		allowed = append(allowed, first)
	}
	for _, e := range entries {
		if e.IsDir() && !slices.Contains(allowed, e.Name()) {
			found.add(e.Name(), "a top-level directory that rules.go does not list: the listing of the root explains the product")
		}
	}
	return nil
}

func checkImports(s *source, found *findings) {
	_, isSupport := support[s.dir]
	if _, ok := floors[s.dir]; !ok && !isSupport {
		found.add(s.dir, "a package without a floor: give it a row in rules.go")
		return
	}
	for imported, where := range s.imports() {
		switch dir, ours := strings.CutPrefix(imported, module); {
		case ours && s.test:
			checkTestImport(s, dir, where, found)
		case ours:
			checkOwnImport(s.dir, dir, where, found)
		case strings.Contains(strings.Split(imported, "/")[0], "."):
			checkLibrary(s, imported, where, found)
		case slices.Contains(pure, s.dir) && !s.test && below(imported, impure) != "":
			found.add(where, "%s only decides, so it does not import %s: take the value as an argument", s.dir, imported)
		}
	}
}

// checkOwnImport judges an import of a package of ours by what is no test.
func checkOwnImport(from, to, where string, found *findings) {
	if users, ok := support[to]; ok {
		if !slices.Contains(users, from) {
			found.add(where, "%s is for %s: %s does not import it", to, strings.Join(append(slices.Clone(users), "tests"), ", "), from)
		}
		return
	}
	if slices.Contains(testOnly, to) {
		found.add(where, "%s is for tests: %s does not import it", to, from)
		return
	}
	here, onFloor := floors[from]
	there, known := floors[to]
	switch {
	case !onFloor || from == to:
	case !known:
		found.add(where, "%s has no floor: give it a row in rules.go", to)
	case there > here:
		found.add(where, "%s (floor %d) imports %s (floor %d) above it: declare the small interface that is needed, and let the upper one pass it in", from, here, to, there)
	case there == here && path.Dir(from) != to:
		found.add(where, "%s imports %s beside it on floor %d: let both use something lower, or let the caller join them", from, to, here)
	}
}

// checkTestImport judges an import by a test, which may look sideways but not up.
func checkTestImport(s *source, to, where string, found *findings) {
	here, onFloor := floors[s.dir]
	if there, known := floors[to]; onFloor && known && there > here {
		found.add(where, "a test of %s (floor %d) needs %s (floor %d): it is a test of that package", s.dir, here, to, there)
	}
}

// checkLibrary judges the import of somebody else's package.
func checkLibrary(s *source, imported, where string, found *findings) {
	library := below(imported, slices.Collect(maps.Keys(homes)))
	users := homes[library]
	switch {
	case library == "":
		found.add(where, "the library %s has no home: give it a row in rules.go, with the reason in the commit", imported)
	case s.test || slices.Contains(users, anywhere) || slices.Contains(users, s.dir):
	case floors[s.dir] == 6 && s.dir != "cmd/rollcall": // a program that measures the libraries themselves
	default:
		found.add(where, "%s is used in %s only, not in %s", library, strings.Join(append(slices.Clone(users), "tests"), ", "), s.dir)
	}
}

// below returns the longest of paths that p is, or lies below, or "".
func below(p string, paths []string) string {
	best := ""
	for _, q := range paths {
		if (p == q || strings.HasPrefix(p, q+"/")) && len(q) > len(best) {
			best = q
		}
	}
	return best
}

// checkHabits looks into the file.
func checkHabits(s *source, found *findings) {
	for _, d := range s.tree.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			found.add(s.where(f.Pos()), "an init function: nothing happens before main; make it a constructor or a value")
		}
	}
	if s.test {
		return
	}
	background := backgroundAllowed[s.name] != "" || backgroundAllowed[s.dir] != "" || s.tree.Name.Name == "main"
	ast.Inspect(s.tree, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if !ok {
			return true
		}
		switch call := x.Name + "." + sel.Sel.Name; {
		case !background && (call == "context.Background" || call == "context.TODO"):
			found.add(s.where(n.Pos()), "%s cannot be canceled: take a ctx, or list the file in rules.go with the reason", call)
		case slices.Contains(pure, s.dir) && call == "time.Now":
			found.add(s.where(n.Pos()), "%s only decides, so it asks no clock: take the instant as an argument", s.dir)
		}
		return true
	})
}

// checkComments looks for one real comment on every package.
func checkComments(files []source, found *findings) {
	comments, dirs := map[string][]string{}, map[string]bool{}
	for i := range files {
		s := &files[i]
		if s.external() {
			continue
		}
		dirs[s.dir] = true
		if s.tree.Doc == nil {
			continue
		}
		comments[s.dir] = append(comments[s.dir], s.name)
		text, opening := s.tree.Doc.Text(), "Package "+s.tree.Name.Name+" "
		if s.tree.Name.Name == "main" {
			opening = "Command " + path.Base(s.dir) + " "
		}
		if !strings.HasPrefix(text, opening) {
			found.add(s.where(s.tree.Doc.Pos()), "the package comment begins with %q", opening)
		}
		if strings.Count(text, "\n") < 3 {
			found.add(s.where(s.tree.Doc.Pos()), "the package comment is too short: say what %s owns, promises and leaves to others", s.dir)
		}
	}
	for dir := range dirs {
		switch with := comments[dir]; len(with) {
		case 1:
		case 0:
			found.add(dir, "no package comment: say what it owns, promises and leaves to others")
		default:
			found.add(dir, "package comments in %s: keep one", strings.Join(with, " and "))
		}
	}
}
