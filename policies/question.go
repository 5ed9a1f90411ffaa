package policies

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// question is the entry point, compiled once to be asked of each call. Rego's own prepared query would make maps and
// timers on each call for which nobody asks.
type question struct {
	compiler *ast.Compiler
	query    ast.Body
	store    storage.Store
	data     documents
}

// answerVar is bound to the value of the entry point.
const answerVar = ast.Var("answer")

// newQuestion compiles the question. The store holds Rego's own values and is not written to any more.
func newQuestion(compiler *ast.Compiler, store storage.Store) (*question, error) {
	query, err := compiler.QueryCompiler().Compile(ast.MustParseBody(string(answerVar) + " = " + entryPoint))
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	root, err := storage.ReadOne(ctx, store, storage.Path{})
	if err != nil {
		return nil, err
	}
	data, ok := root.(ast.Object)
	if !ok {
		return nil, errors.New("the data is not made of Rego's values")
	}
	return &question{compiler: compiler, query: query, store: store, data: documents{data}}, nil
}

// ask evaluates the entry point and returns its values: none if it is undefined.
func (q *question) ask(ctx context.Context, input ast.Value, cancel topdown.Cancel) ([]ast.Value, error) {
	// Of this one call: a transaction that were held open would be a lock for as long.
	txn, err := q.store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	defer q.store.Abort(ctx, txn)
	var values []ast.Value
	err = q.prepare(txn, input, cancel).
		Iter(ctx, func(r topdown.QueryResult) error {
			if answer := r[answerVar]; answer != nil {
				values = append(values, answer.Value)
			}
			return nil
		})
	return values, err
}

// prepare makes the query of one call.
func (q *question) prepare(txn storage.Transaction, input ast.Value, cancel topdown.Cancel) *topdown.Query {
	return topdown.NewQuery(q.query).
		WithCompiler(q.compiler).
		WithStore(q.store).
		WithTransaction(txn).
		WithBaseCache(q.data).
		WithInput(ast.NewTerm(input)).
		WithCancel(cancel).
		WithStrictBuiltinErrors(true).
		WithMetrics(metrics.NoOp()).
		WithSeed(rand.Reader)
}

// documents are the bundle's data, found directly. OPA keeps what a query reads of its store in a cache that each query
// fills anew; this one is full from the start, so that the store is asked for what is not there and nothing else. The
// data of an engine never changes, so that all queries share it.
type documents struct{ root ast.Object }

// Get finds data.x.y; nil where it is not there, or the reference has a variable in it.
func (d documents) Get(ref ast.Ref) ast.Value {
	v, err := d.root.Find(ref[1:])
	if err != nil {
		return nil
	}
	return v
}

// Put is what a cache that fills itself would do.
func (documents) Put(ast.Ref, ast.Value) {}
