package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// source is one Go file as the rules see it.
type source struct {
	name string // from the root, with slashes
	dir  string // the package: the name without the file
	test bool
	set  *token.FileSet
	tree *ast.File
}

// read parses every Go file below the root, except in testdata and in directories
// with a module of their own.
func read(root fs.FS) ([]source, error) {
	var files []source
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (skipped(d.Name()) || hasModule(root, name)):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		data, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, name, data, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, source{
			name: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), set: set, tree: tree,
		})
		return nil
	})
	return files, err
}

func skipped(dir string) bool {
	return dir == "testdata" || dir == "node_modules" || strings.HasPrefix(dir, ".") || strings.HasPrefix(dir, "_")
}

func hasModule(root fs.FS, dir string) bool {
	_, err := fs.Stat(root, path.Join(dir, "go.mod"))
	return err == nil
}

// imports returns the paths that a file imports, with where.
func (s *source) imports() map[string]string {
	out := make(map[string]string, len(s.tree.Imports))
	for _, i := range s.tree.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err == nil {
			out[p] = s.where(i.Pos())
		}
	}
	return out
}

func (s *source) where(pos token.Pos) string {
	p := s.set.Position(pos)
	return p.Filename + ":" + strconv.Itoa(p.Line)
}

// external reports whether the file is a test from outside of its package.
func (s *source) external() bool { return s.test && strings.HasSuffix(s.tree.Name.Name, "_test") }
