//! A template's syntax tree with every operation on lists and maps replaced by one that is bounded.
//!
//! What makes a value (`[…]`, `+`, a filter, a call) is wrapped in [`KEEP`]; what looks at a whole value (`==`, `in`, `~`, a filter, a
//! test, a method) goes through a function that pays first. The names of these functions hold a bracket, so that no template can
//! write or replace one.

use minijinja::Value;
use minijinja::machinery::Span;
use minijinja::machinery::ast::{
    AutoEscape, BinOp, BinOpKind, Break, Call, CallArg, CallBlock, Compare, CompareOp, Const, Continue, Do,
    EmitExpr, EmitRaw, Expr, Filter, FilterBlock, ForLoop, GetAttr, GetItem, IfCond, IfExpr, List, Macro,
    Map, Set, SetBlock, Slice, Spanned, Stmt, Template, Test, Tuple, UnaryOp, UnaryOpKind, Var, WithBlock,
};

pub(crate) const KEEP: &str = "(keep)";
pub(crate) const STORE: &str = "(store)";
pub(crate) const FILTER: &str = "(filter)";
pub(crate) const TEST: &str = "(test)";
pub(crate) const CONCAT: &str = "(concat)";

/// The statement with everything below it rewritten.
pub(crate) fn statement<'a>(statement: &Stmt<'a>) -> Stmt<'a> {
    match statement {
        Stmt::Template(n) => {
            let children = body(&n.children);
            Stmt::Template(Spanned::new(Template { children }, n.span()))
        }
        Stmt::EmitExpr(n) => Stmt::EmitExpr(Spanned::new(EmitExpr { expr: expr(&n.expr) }, n.span())),
        Stmt::EmitRaw(n) => Stmt::EmitRaw(Spanned::new(EmitRaw { raw: n.raw }, n.span())),
        Stmt::Continue(n) => Stmt::Continue(Spanned::new(Continue, n.span())),
        Stmt::Break(n) => Stmt::Break(Spanned::new(Break, n.span())),
        Stmt::ForLoop(n) => {
            let node = ForLoop {
                target: copy(&n.target),
                iter: expr(&n.iter),
                filter_expr: n.filter_expr.as_ref().map(expr),
                recursive: n.recursive,
                body: body(&n.body),
                else_body: body(&n.else_body),
            };
            Stmt::ForLoop(Spanned::new(node, n.span()))
        }
        Stmt::IfCond(n) => {
            let node = IfCond {
                expr: expr(&n.expr),
                true_body: body(&n.true_body),
                false_body: body(&n.false_body),
            };
            Stmt::IfCond(Spanned::new(node, n.span()))
        }
        Stmt::WithBlock(n) => {
            let assignments = n.assignments.iter().map(|(to, from)| (copy(to), expr(from)));
            let node = WithBlock {
                assignments: assignments.collect(),
                body: body(&n.body),
            };
            Stmt::WithBlock(Spanned::new(node, n.span()))
        }
        Stmt::Set(n) => {
            let value = expr(&n.expr);
            let value = match n.target {
                Expr::Var(_) => value,
                _ => called(STORE, vec![value], n.span()),
            };
            let node = Set {
                target: expr(&n.target),
                expr: value,
            };
            Stmt::Set(Spanned::new(node, n.span()))
        }
        Stmt::SetBlock(n) => {
            let node = SetBlock {
                target: copy(&n.target),
                filter: n.filter.as_ref().map(block_filter),
                body: body(&n.body),
            };
            Stmt::SetBlock(Spanned::new(node, n.span()))
        }
        Stmt::AutoEscape(n) => {
            let node = AutoEscape {
                enabled: expr(&n.enabled),
                body: body(&n.body),
            };
            Stmt::AutoEscape(Spanned::new(node, n.span()))
        }
        Stmt::FilterBlock(n) => {
            let node = FilterBlock {
                filter: block_filter(&n.filter),
                filter_span: n.filter_span,
                body: body(&n.body),
            };
            Stmt::FilterBlock(Spanned::new(node, n.span()))
        }
        Stmt::Macro(n) => Stmt::Macro(macro_declaration(n)),
        Stmt::CallBlock(n) => {
            let node = CallBlock {
                call: call(&n.call),
                call_expr_span: n.call_expr_span,
                macro_decl: macro_declaration(&n.macro_decl),
            };
            Stmt::CallBlock(Spanned::new(node, n.span()))
        }
        Stmt::Do(n) => Stmt::Do(Spanned::new(Do { call: call(&n.call) }, n.span())),
    }
}

fn body<'a>(statements: &[Stmt<'a>]) -> Vec<Stmt<'a>> {
    statements.iter().map(statement).collect()
}

fn macro_declaration<'a>(n: &Spanned<Macro<'a>>) -> Spanned<Macro<'a>> {
    let node = Macro {
        name: n.name,
        args: n.args.iter().map(copy).collect(),
        defaults: n.defaults.iter().map(expr).collect(),
        body: body(&n.body),
    };
    Spanned::new(node, n.span())
}

/// The filters of a block get its text, which is paid for as it is written.
fn block_filter<'a>(filter: &Expr<'a>) -> Expr<'a> {
    let Expr::Filter(n) = filter else {
        return expr(filter);
    };
    let node = Filter {
        name: n.name,
        expr: n.expr.as_ref().map(block_filter),
        args: arguments(&n.args),
    };
    kept(Expr::Filter(Spanned::new(node, n.span())))
}

/// A target of an assignment: names alone.
fn copy<'a>(target: &Expr<'a>) -> Expr<'a> {
    expression(target, false)
}

fn expr<'a>(e: &Expr<'a>) -> Expr<'a> {
    expression(e, true)
}

fn expression<'a>(e: &Expr<'a>, keep: bool) -> Expr<'a> {
    let kept = |e: Expr<'a>| if keep { kept(e) } else { e };
    let list = |items: &[Expr<'a>]| items.iter().map(|item| expression(item, keep)).collect();
    match e {
        Expr::Var(n) => Expr::Var(Spanned::new(Var { id: n.id }, n.span())),
        Expr::Const(n) => Expr::Const(Spanned::new(
            Const {
                value: n.value.clone(),
            },
            n.span(),
        )),
        Expr::List(n) => kept(Expr::List(Spanned::new(
            List {
                items: list(&n.items),
            },
            n.span(),
        ))),
        Expr::Tuple(n) => kept(Expr::Tuple(Spanned::new(
            Tuple {
                items: list(&n.items),
            },
            n.span(),
        ))),
        Expr::Map(n) => {
            let node = Map {
                keys: n.keys.iter().map(looked_at).collect(),
                values: list(&n.values),
            };
            kept(Expr::Map(Spanned::new(node, n.span())))
        }
        Expr::Slice(n) => {
            let node = Slice {
                expr: expr(&n.expr),
                start: n.start.as_ref().map(expr),
                stop: n.stop.as_ref().map(expr),
                step: n.step.as_ref().map(expr),
            };
            kept(Expr::Slice(Spanned::new(node, n.span())))
        }
        Expr::UnaryOp(n) => {
            let node = UnaryOp {
                op: match n.op {
                    UnaryOpKind::Not => UnaryOpKind::Not,
                    UnaryOpKind::Neg => UnaryOpKind::Neg,
                },
                expr: expr(&n.expr),
            };
            Expr::UnaryOp(Spanned::new(node, n.span()))
        }
        Expr::BinOp(n) => binary(n),
        Expr::Compare(n) => {
            let operand = |o: &CompareOp<'a>| CompareOp {
                op: o.op,
                expr: looked_at(&o.expr),
            };
            let node = Compare {
                expr: looked_at(&n.expr),
                ops: n.ops.iter().map(operand).collect(),
            };
            Expr::Compare(Spanned::new(node, n.span()))
        }
        Expr::IfExpr(n) => {
            let node = IfExpr {
                test_expr: expr(&n.test_expr),
                true_expr: expr(&n.true_expr),
                false_expr: n.false_expr.as_ref().map(expr),
            };
            Expr::IfExpr(Spanned::new(node, n.span()))
        }
        Expr::Filter(n) => {
            let mut args = vec![name(n.name, n.span())];
            args.extend(n.expr.as_ref().map(|e| CallArg::Pos(expr(e))));
            args.extend(arguments(&n.args));
            function(FILTER, args, n.span())
        }
        Expr::Test(n) if n.args.is_empty() => {
            let node = Test {
                name: n.name,
                expr: expr(&n.expr),
                args: Vec::new(),
            };
            Expr::Test(Spanned::new(node, n.span()))
        }
        Expr::Test(n) => {
            let mut args = vec![name(n.name, n.span())];
            args.extend(arguments(&n.args));
            test(expr(&n.expr), args, n.span())
        }
        Expr::GetAttr(n) => {
            let node = GetAttr {
                expr: expr(&n.expr),
                name: n.name,
            };
            Expr::GetAttr(Spanned::new(node, n.span()))
        }
        Expr::GetItem(n) => {
            let node = GetItem {
                expr: expr(&n.expr),
                subscript_expr: looked_at(&n.subscript_expr),
            };
            Expr::GetItem(Spanned::new(node, n.span()))
        }
        // A recursive loop and the body of a call block give text, and the engine knows them by their place.
        Expr::Call(n) if matches!(&n.expr, Expr::Var(v) if matches!(v.id, "loop" | "caller" | "super")) => {
            Expr::Call(call(n))
        }
        Expr::Call(n) => kept(Expr::Call(call(n))),
    }
}

fn call<'a>(n: &Spanned<Call<'a>>) -> Spanned<Call<'a>> {
    let args = match &n.expr {
        Expr::Var(_) => arguments(&n.args),
        _ => arguments_looked_at(&n.args),
    };
    let node = Call {
        expr: expr(&n.expr),
        args,
    };
    Spanned::new(node, n.span())
}

fn binary<'a>(n: &Spanned<BinOp<'a>>) -> Expr<'a> {
    let (left, right) = (expr(&n.left), expr(&n.right));
    let compared = |name_of: &'static str, left, right| {
        test(left, vec![name(name_of, n.span()), CallArg::Pos(right)], n.span())
    };
    match n.op {
        BinOpKind::Eq => compared("eq", left, right),
        BinOpKind::Ne => compared("ne", left, right),
        BinOpKind::Lt => compared("lt", left, right),
        BinOpKind::Lte => compared("le", left, right),
        BinOpKind::Gt => compared("gt", left, right),
        BinOpKind::Gte => compared("ge", left, right),
        BinOpKind::Concat => called(CONCAT, vec![left, right], n.span()),
        BinOpKind::In => {
            let node = BinOp {
                op: n.op,
                left: looked_at(&n.left),
                right: looked_at(&n.right),
            };
            Expr::BinOp(Spanned::new(node, n.span()))
        }
        op => {
            let node = Expr::BinOp(Spanned::new(BinOp { op, left, right }, n.span()));
            match op {
                BinOpKind::Add | BinOpKind::Mul => kept(node),
                _ => node,
            }
        }
    }
}

fn arguments<'a>(args: &[CallArg<'a>]) -> Vec<CallArg<'a>> {
    args.iter().map(|arg| argument(arg, expr)).collect()
}

fn arguments_looked_at<'a>(args: &[CallArg<'a>]) -> Vec<CallArg<'a>> {
    args.iter().map(|arg| argument(arg, looked_at)).collect()
}

fn argument<'a>(arg: &CallArg<'a>, value: impl Fn(&Expr<'a>) -> Expr<'a>) -> CallArg<'a> {
    match arg {
        CallArg::Pos(e) => CallArg::Pos(value(e)),
        CallArg::Kwarg(name, e) => CallArg::Kwarg(name, value(e)),
        CallArg::PosSplat(e) => CallArg::PosSplat(value(e)),
        CallArg::KwargSplat(e) => CallArg::KwargSplat(value(e)),
    }
}

/// The value of `e`, paid for; a constant needs none of it.
fn looked_at<'a>(e: &Expr<'a>) -> Expr<'a> {
    match e {
        Expr::Const(_) => expr(e),
        _ => kept(expr(e)),
    }
}

fn kept<'a>(e: Expr<'a>) -> Expr<'a> {
    let span = e.span();
    called(KEEP, vec![e], span)
}

fn name<'a>(name: &str, span: Span) -> CallArg<'a> {
    let value = Value::from(name);
    CallArg::Pos(Expr::Const(Spanned::new(Const { value }, span)))
}

fn test<'a>(e: Expr<'a>, args: Vec<CallArg<'a>>, span: Span) -> Expr<'a> {
    let node = Test {
        name: TEST,
        expr: e,
        args,
    };
    Expr::Test(Spanned::new(node, span))
}

fn called<'a>(name: &'static str, args: Vec<Expr<'a>>, span: Span) -> Expr<'a> {
    function(name, args.into_iter().map(CallArg::Pos).collect(), span)
}

fn function<'a>(name: &'static str, args: Vec<CallArg<'a>>, span: Span) -> Expr<'a> {
    let expr = Expr::Var(Spanned::new(Var { id: name }, span));
    Expr::Call(Spanned::new(Call { expr, args }, span))
}
