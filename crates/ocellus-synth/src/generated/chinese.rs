//! Chinese text that manuals have too little of: dates, prices, receipts, forms, buttons, addresses, numbered headings.

use crate::random::Rng;

use super::draw::{any, digits};
use super::figures::grouped;

const NUMBERS: &[&str] = &[
    "一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二", "二十", "三十",
];
const FIELDS: &[&str] = &[
    "姓名",
    "性别",
    "年龄",
    "电话",
    "地址",
    "邮编",
    "单位",
    "部门",
    "职务",
    "日期",
    "备注",
    "编号",
    "数量",
    "单价",
    "金额",
    "合计",
    "规格",
    "型号",
    "品名",
    "客户",
    "订单号",
    "发票号码",
    "开票日期",
    "税率",
    "税额",
    "小计",
    "应付",
    "实收",
    "找零",
    "收银员",
    "会员卡号",
    "交易时间",
    "付款方式",
    "身份证号",
    "出生日期",
    "户名",
    "账号",
    "开户行",
    "用途",
    "审核",
    "制表",
    "經手人",
    "統一編號",
    "總計",
    "備註",
];
const GOODS: &[&str] = &[
    "牛奶",
    "面包",
    "鸡蛋",
    "大米",
    "苹果",
    "矿泉水",
    "绿茶",
    "酱油",
    "洗衣液",
    "牙膏",
    "毛巾",
    "方便面",
    "巧克力",
    "排骨",
    "豆腐",
    "青菜",
    "土豆",
    "咖啡",
    "酸奶",
    "饼干",
    "纸巾",
    "电池",
    "雨伞",
    "拿铁",
    "红烧牛肉面",
    "宫保鸡丁",
    "米饭",
    "可乐",
    "打印纸",
    "硒鼓",
];
const BUTTONS: &[&str] = &[
    "确定",
    "取消",
    "保存",
    "打开",
    "关闭",
    "删除",
    "编辑",
    "搜索",
    "设置",
    "返回",
    "下一步",
    "上一步",
    "完成",
    "登录",
    "注册",
    "退出",
    "帮助",
    "文件",
    "视图",
    "插入",
    "格式",
    "工具",
    "窗口",
    "新建",
    "复制",
    "粘贴",
    "剪切",
    "撤销",
    "全选",
    "首页",
    "我的",
    "消息",
    "发送",
    "更多",
    "刷新",
    "下载",
    "上传",
    "分享",
    "收藏",
    "評論",
    "確定",
    "儲存",
    "檔案",
    "編輯",
    "檢視",
];
const PLACES: &[&str] = &[
    "北京市海淀区",
    "上海市浦东新区",
    "广州市天河区",
    "深圳市南山区",
    "成都市武侯区",
    "杭州市西湖区",
    "南京市鼓楼区",
    "武汉市洪山区",
    "西安市雁塔区",
    "重庆市渝北区",
    "臺北市信義區",
    "香港九龍",
    "天津市和平区",
    "苏州市工业园区",
    "青岛市市南区",
];
const SURNAMES: &str = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪廖石金韦贾夏付方邹熊白孟秦";
const GIVEN: &str = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华文玉建国志海云欣怡浩宇子轩梓涵雨泽佳琪思远晓东鹏飞婷雪梅兰红春燕";
const UNITS: &[&str] = &[
    "元", "个", "件", "斤", "公斤", "米", "厘米", "千克", "毫升", "次", "人", "台", "套", "瓶", "盒", "包",
    "页", "天",
];
const UPPER: &str = "零壹贰叁肆伍陆柒捌玖";

fn one(rng: &mut Rng, text: &str) -> String {
    let count = text.chars().count();
    text.chars()
        .nth(rng.below(count))
        .map(String::from)
        .unwrap_or_default()
}

fn name(rng: &mut Rng) -> String {
    let second = if rng.chance(0.7) {
        one(rng, GIVEN)
    } else {
        String::new()
    };
    one(rng, SURNAMES) + &one(rng, GIVEN) + &second
}

fn date(rng: &mut Rng) -> String {
    let (y, m, d) = (rng.int(1950, 2035), rng.int(1, 12), rng.int(1, 31));
    match rng.below(6) {
        0 => format!("{y}年{m}月{d}日"),
        1 => format!("{y}年{m:02}月{d:02}日 {}:{}", rng.int(0, 23), digits(rng, 2, 2)),
        2 => format!(
            "{y}-{m:02}-{d:02} 星期{}",
            any(rng, &["一", "二", "三", "四", "五", "六", "日"])
        ),
        3 => format!("{m}月{d}日"),
        4 => format!(
            "二〇{}{}年{}月",
            one(rng, "〇一二"),
            one(rng, "〇一二三四五六七八九"),
            any(rng, &NUMBERS[..12])
        ),
        _ => format!("{y}.{m}.{d}"),
    }
}

fn price(rng: &mut Rng) -> String {
    let whole = grouped(rng);
    let cents = digits(rng, 2, 2);
    match rng.below(6) {
        0 => format!("￥{whole}.{cents}"),
        1 => format!("¥{whole}.{cents}"),
        2 => format!("{whole}.{cents}元"),
        3 => format!("人民币{whole}元整"),
        4 => format!(
            "{}{}{}{}元整",
            one(rng, UPPER),
            any(rng, &["拾", "佰", "仟", "万"]),
            one(rng, UPPER),
            any(rng, &["拾", "佰", ""])
        ),
        _ => format!("NT${whole}"),
    }
}

fn heading(rng: &mut Rng) -> String {
    let number = any(rng, NUMBERS);
    let title = any(
        rng,
        &[
            "概述",
            "总则",
            "附则",
            "说明",
            "安装",
            "使用方法",
            "注意事项",
            "工作计划",
            "基本原理",
            "实验结果",
            "参考文献",
            "結論",
            "摘要",
            "目录",
            "前言",
        ],
    );
    match rng.below(7) {
        0 => format!("第{number}章\t{title}"),
        1 => format!("第{number}节 {title}"),
        2 => format!("{number}、{title}"),
        3 => format!("（{number}）{title}"),
        4 => format!("{}.{} {title}", rng.int(1, 12), rng.int(1, 20)),
        5 => format!("{}、{title}", rng.int(1, 20)),
        _ => format!(
            "{}{title}",
            any(
                rng,
                &["①", "②", "③", "④", "⑤", "●", "◆", "※", "■", "★", "► ", "【", "→"]
            )
        ),
    }
}

fn field(rng: &mut Rng) -> String {
    let value = match rng.below(8) {
        0 => name(rng),
        1 => date(rng),
        2 => price(rng),
        3 => digits(rng, 4, 18),
        4 => format!("1{}", digits(rng, 10, 10)),
        5 => format!(
            "{}{}路{}号",
            any(rng, PLACES),
            any(rng, &["中山", "人民", "建设", "解放", "学院", "和平", "科技"]),
            rng.int(1, 999)
        ),
        6 => any(
            rng,
            &[
                "男",
                "女",
                "是",
                "否",
                "无",
                "现金",
                "微信支付",
                "支付宝",
                "银行卡",
                "/",
                "—",
                "合格",
            ],
        )
        .to_owned(),
        _ => format!("{}{}", rng.int(1, 999), any(rng, UNITS)),
    };
    format!(
        "{}{}{value}",
        any(rng, FIELDS),
        any(rng, &["：", "：", ": ", ":", "\t", " "])
    )
}

fn item(rng: &mut Rng) -> String {
    let (goods, n) = (any(rng, GOODS), rng.int(1, 12));
    let amount = format!("{}.{}", rng.int(0, 300), digits(rng, 2, 2));
    match rng.below(4) {
        0 => format!("{goods}\t{n}\t{amount}"),
        1 => format!("{goods} x{n}\t{amount}"),
        2 => format!("{}{goods}\t{amount}\t{n}\t{amount}", digits(rng, 0, 6)),
        _ => format!(
            "{goods}{}{}",
            rng.int(50, 1000),
            any(rng, &["g", "ml", "克", "毫升", "kg"])
        ),
    }
}

fn cells(rng: &mut Rng) -> String {
    let count = rng.int(2, 5);
    let cell = |rng: &mut Rng| match rng.below(6) {
        0 => any(rng, FIELDS).to_owned(),
        1 => name(rng),
        2 => format!("{}%", rng.int(0, 100)),
        3 => grouped(rng),
        4 => any(rng, GOODS).to_owned(),
        _ => date(rng),
    };
    (0..count).map(|_| cell(rng)).collect::<Vec<_>>().join("\t")
}

fn buttons(rng: &mut Rng) -> String {
    let count = [1, 1, 2, 3, 4, 6][rng.below(6)];
    let joint = any(rng, &["\t", " ", " | ", "(F)\t", "\t", " > "]);
    (0..count)
        .map(|_| any(rng, BUTTONS))
        .collect::<Vec<_>>()
        .join(joint)
}

pub(super) fn piece(rng: &mut Rng) -> String {
    match rng.below(9) {
        0 => date(rng),
        1 => price(rng),
        2 | 3 => heading(rng),
        4 | 5 => field(rng),
        6 => item(rng),
        7 => cells(rng),
        _ => buttons(rng),
    }
}
