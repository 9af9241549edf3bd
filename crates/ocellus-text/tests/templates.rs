//! Chat templates: what publishers use works, and no template can hang, crash or fill the memory.

use ocellus_text::{
    Conversation, MAX_TEMPLATE_BYTES, Message, Part, RenderOptions, Role, Template, TextError,
};

fn render(source: &str) -> Result<String, TextError> {
    Template::new(source)?.render(&conversation(), &RenderOptions::default())
}

fn conversation() -> Conversation {
    Conversation::new(vec![
        Message::text(Role::System, "Be <brief>."),
        Message::new(Role::User, vec![Part::Image, "What?".into()]),
        Message::text(Role::Assistant, "A \"cat\"\n猫"),
    ])
}

#[test]
fn what_publishers_use() {
    let cases: &[(&str, &str, &str)] = &[
        ("plain", "{{ messages[0].content }}", "Be <brief>."),
        ("item syntax", "{{ messages[0]['role'] }}", "system"),
        (
            "parts",
            "{% for p in messages[1].content %}{{ p.type }},{% endfor %}",
            "image,text,",
        ),
        ("text part", "{{ messages[1]['content'][1]['text'] }}", "What?"),
        (
            "string test",
            "{{ messages[0].content is string }}{{ messages[1].content is string }}",
            "TrueFalse",
        ),
        ("negative index", "{{ messages[-1].role }}", "assistant"),
        ("slice", "{{ messages[1:] | length }}", "2"),
        (
            "flags",
            "{% if add_generation_prompt and not add_vision_id %}yes{% endif %}",
            "yes",
        ),
        (
            "undefined",
            "{% if tools is defined %}x{% else %}{{ tools }}none{% endif %}",
            "none",
        ),
        (
            "namespace",
            "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
            "3",
        ),
        (
            "loop",
            "{% for m in messages %}{{ loop.index0 }}{{ loop.first }}{{ loop.last }} {% endfor %}",
            "0TrueFalse 1FalseFalse 2FalseTrue ",
        ),
        (
            "break",
            "{% for m in messages %}{{ loop.index }}{% break %}{% endfor %}",
            "1",
        ),
        (
            "continue",
            "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ loop.index }}{% endfor %}",
            "23",
        ),
        (
            "macro",
            "{% macro say(x, y='!') %}{{ x }}{{ y }}{% endmacro %}{{ say('a') }}{{ say('b', y='?') }}",
            "a!b?",
        ),
        (
            "python strings",
            "{{ ' a '.strip() ~ 'x-y'.split('-')[1] ~ 'Ab'.lower() ~ 'abc'.startswith('ab') ~ 'a.b'.replace('.', '/') }}",
            "ayabTruea/b",
        ),
        (
            "python maps",
            "{{ messages[0].get('name', 'anon') }}{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}",
            "anona1",
        ),
        (
            "filters",
            "{{ ' x ' | trim }}{{ messages | map(attribute='role') | join(',') }}",
            "xsystem,user,assistant",
        ),
        (
            "selectattr",
            "{{ messages[1].content | selectattr('type', 'equalto', 'image') | list | length }}",
            "1",
        ),
        (
            "rejectattr",
            "{{ messages | rejectattr('role', 'equalto', 'system') | list | length }}",
            "2",
        ),
        (
            "block lines",
            "a\n  {% if true %}\nb\n  {% endif %}\nc",
            "a\nb\nc",
        ),
        (
            "white space control",
            "a  {%- if true %}  b  {%- endif %}",
            "a  b",
        ),
        ("the last line end is dropped", "a\n", "a"),
        (
            "generation marks",
            "{% generation %}a{%- endgeneration -%} b",
            "ab",
        ),
        ("no clock", "{{ strftime_now is defined }}", "False"),
        (
            "tojson",
            "{{ messages[2].content | tojson }}",
            "\"A \\\"cat\\\"\\n猫\"",
        ),
        (
            "tojson keeps html",
            "{{ messages[0].content | tojson }}",
            "\"Be <brief>.\"",
        ),
        (
            "tojson of all kinds",
            "{{ {'a': [1, 2.5, true, none], 'b': {}, 'c': []} | tojson }}",
            "{\"a\": [1, 2.5, true, null], \"b\": {}, \"c\": []}",
        ),
        (
            "tojson with indent",
            "{{ {'a': [1], 'b': {}} | tojson(indent=2) }}",
            "{\n  \"a\": [\n    1\n  ],\n  \"b\": {}\n}",
        ),
        (
            "tojson sorted",
            "{{ {'b': 1, 'a': 2} | tojson(sort_keys=true, ensure_ascii=false) }}",
            "{\"a\": 2, \"b\": 1}",
        ),
        ("control characters", "{{ '\u{1}' | tojson }}", "\"\\u0001\""),
    ];
    for (what, source, expected) in cases {
        match render(source) {
            Ok(text) => assert_eq!(text, *expected, "{what}"),
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

#[test]
fn the_clock_is_lent() {
    let template = Template::new("{{ strftime_now('%Y') }}").unwrap();
    let options = RenderOptions::default();
    let error = template.render(&conversation(), &options).unwrap_err();
    assert!(error.to_string().contains("strftime_now"), "{error}");
    let template = template.with_clock(|format| format!("<{format}>"));
    assert_eq!(template.render(&conversation(), &options).unwrap(), "<%Y>");
}

#[test]
fn a_template_can_refuse() {
    let error = render("{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system: ' ~ m.content) }}{% endif %}{% endfor %}").unwrap_err();
    assert!(
        matches!(&error, TextError::TemplateRaised { message } if message == "no system: Be <brief>."),
        "{error}"
    );
    let error = render("{% macro f() %}{{ raise_exception('deep') }}{% endmacro %}{{ f() }}").unwrap_err();
    assert!(
        matches!(&error, TextError::TemplateRaised { message } if message == "deep"),
        "{error}"
    );
}

#[test]
fn mistakes_are_reported_with_their_line() {
    assert!(matches!(
        render("a\n{% if %}"),
        Err(TextError::TemplateSyntax { line: Some(2), .. })
    ));
    assert!(matches!(
        render("{% include 'x' %}"),
        Err(TextError::TemplateSyntax { .. } | TextError::TemplateFailed { .. })
    ));
    let error = render("a\nb\n{{ messages[0].content.nothing.more }}").unwrap_err();
    assert!(
        matches!(error, TextError::TemplateFailed { line: Some(3), .. }),
        "{error}"
    );
    assert!(matches!(
        render("{{ unknown() }}"),
        Err(TextError::TemplateFailed { .. })
    ));
}

/// Each of these would take minutes, gigabytes or the stack without a bound.
#[test]
fn hostile_templates_end_with_a_typed_error() {
    let many = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}";
    let double = |body: &str, end: &str| {
        format!(
            "{{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}}{{% for i in range(60) %}}{{% set ns.x = {body} %}}{{% endfor %}}{end}"
        )
    };
    let list = |end: &str| {
        format!(
            "{{% set ns = namespace(x=[1]) %}}{{% for i in range(60) %}}{{% set ns.x = [ns.x, ns.x] %}}{{% endfor %}}{end}"
        )
    };
    let cases: Vec<(&str, String)> = vec![
        ("fuel: nested loops", many.to_string()),
        ("fuel: doubling with ~", double("ns.x ~ ns.x", "{{ ns.x }}")),
        ("fuel: doubling with +", double("ns.x + ns.x", "")),
        ("fuel: doubling with *", double("ns.x * 2", "")),
        ("fuel: one huge *", "{{ 'a' * 99999999999 }}".to_string()),
        ("fuel: large * below the engine's own cap", "{% set x = 'a' * 99999999 %}{% set y = x * 9 %}".to_string()),
        ("fuel: doubling with replace", double("ns.x.replace('a', 'aa')", "")),
        ("fuel: replace by a long text", double("ns.x | replace('a', ns.x)", "")),
        ("fuel: doubling with join", double("[ns.x, ns.x] | join('')", "")),
        ("fuel: join as a method", double("ns.x.join([ns.x, ns.x, ns.x])", "")),
        ("fuel: doubling with format", double("'%s%s' | format(ns.x, ns.x)", "")),
        ("fuel: format as a method", double("'{}{}'.format(ns.x, ns.x)", "")),
        ("fuel: wide format", "{{ '%999999999d' | format(1) }}".to_string()),
        ("wide format method", "{{ '{:>999999999}'.format(1) }}".to_string()),
        ("fuel: captured set", "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(60) %}{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = y %}{% endfor %}".to_string()),
        ("fuel: much output", "{% for i in range(9999) %}{{ 'a' * 99999 }}{% endfor %}".to_string()),
        ("fuel: indent", "{{ ('\n' * 9999) | indent(999999) }}".to_string()),
        ("center", "{{ 'a' | center(9999999999) }}".to_string()),
        ("fuel: list that holds itself, printed", list("{{ ns.x }}")),
        ("fuel: list that holds itself, as json", list("{{ ns.x | tojson }}")),
        ("depth: macro that calls itself", "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}".to_string()),
        ("depth: two macros that call each other", "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}".to_string()),
        ("depth: recursive loop", "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}".to_string()),
        ("large power", "{{ 10 ** 10 ** 10 }}{{ 2 ** 9999999999 }}".to_string()),
        ("huge range", "{% for i in range(99999999999) %}{% endfor %}".to_string()),
        ("syntax: deep expression", format!("{}1{}", "{{ ".to_string() + &"(".repeat(5000), ")".repeat(5000) + " }}")),
        ("syntax: deep list", format!("{{{{ {}{} }}}}", "[".repeat(5000), "]".repeat(5000))),
        ("syntax: deep unary", format!("{{{{ {}1 }}}}", "not ".repeat(30_000))),
        ("syntax: deep minus", format!("{{{{ {}1 }}}}", "-".repeat(120_000))),
        ("syntax: deep blocks", "{% if 1 %}".repeat(3000) + &"{% endif %}".repeat(3000)),
        ("syntax: deep power", format!("{{{{ 1{} }}}}", "**1".repeat(40_000))),
        ("syntax: deep and", format!("{{{{ 1{} }}}}", " and 1".repeat(20_000))),
        ("syntax: deep comparison", format!("{{{{ 1{} }}}}", "<2".repeat(60_000))),
        ("syntax: deep index", format!("{{{{ a{} }}}}", "[0]".repeat(40_000))),
        ("syntax: deep call", format!("{{{{ a{} }}}}", "()".repeat(60_000))),
        ("syntax: deep test", format!("{{{{ 1{} }}}}", " is defined".repeat(10_000))),
        ("syntax: deep is not", format!("{{{{ 1{} }}}}", " is not defined".repeat(8_000))),
        ("syntax: deep filters", format!("{{{{ 'a'{} }}}}", "|upper".repeat(20_000))),
        ("syntax: deep attributes", format!("{{{{ a{} }}}}", ".b".repeat(60_000))),
        ("syntax: deep concatenation", format!("{{{{ 1{} }}}}", "~1".repeat(60_000))),
        ("syntax: deep choice", format!("{{{{ 1{} }}}}", " if 1 else 1".repeat(9_000))),
        ("deep nested list as json", "{% set ns = namespace(x=[]) %}{% for i in range(999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x | tojson }}".to_string()),
        ("fuel: deep nested list compared", "{% set ns = namespace(x=[], y=[]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% set ns.y = [ns.y] %}{% endfor %}{{ ns.x == ns.y }}".to_string()),
        ("size: source too long", "a".repeat(MAX_TEMPLATE_BYTES + 1)),
    ];
    for (what, source) in cases {
        let error = match render(&source) {
            Ok(text) => panic!("{what}: rendered to {} bytes", text.len()),
            Err(error) => error,
        };
        let expected = match what.split_once(':').map(|(kind, _)| kind) {
            Some("fuel") => matches!(error, TextError::TemplateFuel { .. }),
            Some("size") => matches!(error, TextError::TooLarge { .. }),
            Some("depth") => matches!(error, TextError::TemplateRecursion),
            Some("syntax") => matches!(error, TextError::TemplateSyntax { .. }),
            _ => matches!(error, TextError::TemplateFailed { .. }),
        };
        assert!(expected, "{what}: {error}");
    }
}

/// What took all memory, all time or the stack although the budget was small: values that share their parts, and values that contain
/// themselves. Each ends within the budget and within the stack of a test's thread.
#[test]
fn values_that_share_or_contain_themselves_are_refused() {
    let rounds = |step: &str, end: &str| format!("{{% set x = [1] %}}{}{end}", step.repeat(34));
    let cases = [
        "{% set n = namespace() %}{% set n.x = n %}{{ n }}".to_string(),
        "{% set n = namespace() %}{% set n.x = [n] %}{{ n == n }}".to_string(),
        "{% set n = namespace() %}{% set m = namespace(x=n) %}{% set n.x = m %}{{ n ~ '' }}".to_string(),
        "{% set n = namespace() %}{% set n.x = {'a': n} %}{{ n | tojson }}".to_string(),
        "{% for i in [1, 2] %}{{ [[loop]] }}{% endfor %}".to_string(),
        rounds("{% set x = x|chain(x) %}", "{{ x|length }}"),
        rounds("{% set x = x + x %}", "{{ x|length }}"),
        rounds("{% set x = [x, x] %}", "{{ x ~ '' }}"),
        rounds("{% set x = {'a': x, 'b': x} %}", "{{ x == x }}"),
        rounds("{% set x = (x, x) %}", "{{ x in [x] }}"),
        rounds("{% set x = x|zip(x) %}", "{{ x|string }}"),
        rounds("{% set x = dict(a=x, b=x) %}", "{{ x|tojson }}"),
        rounds("{% set x = x * 9 %}", "{{ x|join }}"),
        rounds("{% set x = (x + x + x)[1:] %}", "{{ x|list|length }}"),
        "{% macro f(x) %}{{ f([x, x, x, x]) }}{% endmacro %}{{ f([1]) }}".to_string(),
        "{% for x in [[1]] recursive %}{{ loop([[x, x, x, x]]) }}{% endfor %}".to_string(),
        "{% set x = [[1, 2]] * 90000 %}{{ x|sum(start=[]) }}".to_string(),
        "{% set x = ['a' * 9000] * 9000 %}{% set x = [x] * 900 %}{{ x ~ x }}".to_string(),
        "{% set x = range(9999)|list %}{% set y = x|map('default', x) %}{% set z = [0]|map('chain', x, x)|map('map', 'chain', x)|list %}{% set a = range(9999)|map('replace', '1', 'b' * 99999)|list %}{{ a }}".to_string(),
    ];
    for source in &cases {
        let shown = &source[..source.len().min(90)];
        let error = render(source).expect_err(shown);
        assert!(
            matches!(
                error,
                TextError::TemplateFuel { .. }
                    | TextError::TemplateFailed { .. }
                    | TextError::TemplateRecursion
            ),
            "{shown}: {error}"
        );
    }
}

#[test]
fn deep_templates_that_are_small_enough_render() {
    for (what, source, bytes) in [
        ("elif", "{% if 0 %}".to_string() + &"{% elif 0 %}".repeat(10_000) + "{% endif %}", 0),
        ("operators", format!("{{{{ {}1 }}}}", "-".repeat(900)), 1),
        (
            "lists",
            "{% set ns = namespace(x=[]) %}{% for i in range(60) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}".to_string(),
            122,
        ),
    ] {
        assert_eq!(render(&source).map(|text| text.len()).map_err(|e| e.to_string()), Ok(bytes), "{what}");
    }
}

#[test]
fn conversations_have_a_limit_and_long_ones_fit() {
    let render = |bytes: usize| {
        let conversation = Conversation::about_images(1, "a".repeat(bytes));
        Template::chatml_vision(Some("You are a helpful assistant."))
            .render(&conversation, &RenderOptions::default())
    };
    assert!(render(4 << 20).unwrap().len() > 4 << 20);
    assert!(matches!(render(17 << 20), Err(TextError::TooLarge { .. })));
    let turns: Vec<Message> = (0..2000)
        .map(|_| Message::new(Role::User, vec![Part::Image, "a".into()]))
        .collect();
    let rendered = Template::chatml_vision(Some("You are a helpful assistant."))
        .render(&Conversation::new(turns), &RenderOptions::default())
        .unwrap();
    assert_eq!(rendered.matches("<|image_pad|>").count(), 2000);
}

/// Nothing that may be nested is too deep for a stack of two megabytes: lists in lists, many with each instruction, and what walks them.
#[test]
fn the_deepest_lists_end_in_text_or_an_error() {
    let nest = |levels: usize| format!("{}ns.x{}", "[".repeat(levels), "]".repeat(levels));
    let turns = vec![Message::text(Role::User, "a"); 100];
    let conversations = [conversation(), Conversation::new(turns)];
    let mut rendered = 0;
    for (levels, rounds) in [(2, 20), (40, 1), (40, 400), (1, 99_999)] {
        for end in [
            "",
            "{{ ns.x }}",
            "{{ ns.x ~ 'a' }}",
            "{{ ns.x == ns.y }}",
            "{{ ns.x in [ns.y] }}",
            "{{ [ns.x, ns.y] | sort | length }}",
            "{{ ns.x | string | length }}",
            "{{ ns.x | tojson }}",
        ] {
            let source = format!(
                "{{% set ns = namespace(x=[], y=[]) %}}{{% for i in range({rounds}) %}}{{% set ns.x = {} %}}{{% set ns.y = ns.x if i % 2 else [ns.x] %}}{{% endfor %}}{end}",
                nest(levels)
            );
            let template = Template::new(&source).unwrap();
            for conversation in &conversations {
                rendered += usize::from(template.render(conversation, &RenderOptions::default()).is_ok());
            }
        }
    }
    assert!(rendered > 10, "only {rendered} were rendered");
}

/// Long conversations have a larger budget; a template that does nothing with it cannot spend it.
#[test]
fn the_budget_grows_with_the_conversation() {
    let source = "{% for m in messages %}{% for i in range(40) %}{{ i }}{% endfor %}{% endfor %}";
    for turns in [1, 50, 400] {
        let talk = Conversation::new(vec![Message::text(Role::User, "a"); turns]);
        let template = Template::new(source).unwrap();
        let text = template.render(&talk, &RenderOptions::default()).unwrap();
        assert_eq!(text.len(), turns * 70, "{turns} turns");
    }
}
