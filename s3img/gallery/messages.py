"""What the pages say: a row for each message, a column for each language."""

from __future__ import annotations

from typing import Final

from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

# ruff: noqa: RUF001 - Chinese has its own punctuation
MESSAGES: Final = {
    # English, Chinese
    "title": ("Pictures", "图片"),
    "skip": ("Skip to the pictures", "跳到图片"),
    "search": ("Search", "搜索"),
    "search_hint": ("Words anywhere in the name", "名称中任意位置的词"),
    "type": ("Type", "类型"),
    "any": ("Any", "全部"),
    "since": ("From", "从"),
    "until": ("Before", "早于"),
    "sort": ("Order", "排序"),
    "name": ("Name", "名称"),
    "newest": ("Newest first", "最新在前"),
    "oldest": ("Oldest first", "最旧在前"),
    "largest": ("Largest first", "最大在前"),
    "apply": ("Show", "显示"),
    "reset": ("Clear", "清除"),
    "home": ("All pictures", "全部图片"),
    "trash": ("Trash", "回收站"),
    "settings": ("Settings", "设置"),
    "folders": ("Folders", "文件夹"),
    "objects": ("Pictures and files", "图片和文件"),
    "empty": (
        "Nothing is here yet. Drop pictures onto this page, or choose some below.",
        "这里还没有内容。把图片拖到本页，或在下面选择文件。",
    ),
    "empty_search": ("Nothing was found.", "没有找到。"),
    "empty_trash": ("The trash is empty.", "回收站是空的。"),
    "pages": ("Pages", "页面"),
    "next": ("Next page", "下一页"),
    "first": ("First page", "第一页"),
    "first_n": ("The first {number} of this folder", "此文件夹的前 {number} 项"),
    "shown": ("{number} shown", "显示 {number} 项"),
    "searched": ("Searched {searched} names so far, {found} fit.", "已搜索 {searched} 个名称，{found} 个符合。"),
    "searched_all": ("Searched all {searched} names, {found} fit.", "已搜索全部 {searched} 个名称，{found} 个符合。"),
    "go_on": ("Go on searching", "继续搜索"),
    "select": ("Select {name}", "选择 {name}"),
    "select_all": ("Select all on this page", "选择本页全部"),
    "chosen": ("With those selected", "对所选项"),
    "selected": ("{number} selected", "已选 {number} 项"),
    "move": ("Move", "移动"),
    "remove": ("Move to trash", "移到回收站"),
    "restore": ("Restore", "恢复"),
    "upload": ("Upload", "上传"),
    "upload_to": ("Upload to {folder}", "上传到 {folder}"),
    "choose": ("Pictures to upload", "要上传的图片"),
    "whole_bucket": ("the top", "顶层"),
    "drop": ("Drop pictures here, paste them, or choose files.", "把图片拖到这里、粘贴，或选择文件。"),
    "done": ("Done", "完成"),
    "failed": ("Failed", "失败"),
    "results": ("Results", "结果"),
    "back": ("Back", "返回"),
    "facts": ("Facts", "信息"),
    "key": ("Key", "键"),
    "size": ("Size", "大小"),
    "date": ("Changed", "修改时间"),
    "pixels": ("Pixels", "像素"),
    "frames": ("Frames", "帧数"),
    "camera": ("Camera data", "相机数据"),
    "gps": (
        "This picture says where it was taken. Everybody who downloads it can read the place.",
        "这张图片记录了拍摄地点。任何下载的人都能读到。",
    ),
    "links": ("Links", "链接"),
    "copy": ("Copy", "复制"),
    "copied": ("Copied", "已复制"),
    "download": ("Download", "下载"),
    "rename": ("Rename", "重命名"),
    "new_name": ("New key", "新的键"),
    "used": ("Where it is used", "使用位置"),
    "unused": ("No line of the lock and no published build names it.", "锁文件和已发布的站点都没有用到它。"),
    "variants": ("Renderings beside it", "旁边的渲染版本"),
    "no_preview": ("No preview", "无预览"),
    "folder_remove": ("Move this folder to the trash", "把此文件夹移到回收站"),
    "folder_confirm": ("Type {name} to confirm", "输入 {name} 以确认"),
    "confirm_wrong": (
        "The name of the folder was not typed as it is; nothing was removed.",
        "输入的文件夹名称不对，没有删除任何内容。",
    ),
    "denied": ("You may not do this.", "您没有权限。"),
    "denied_fix": (
        "Ask whoever runs this gallery. If you opened it from a link, start it again.",
        "请联系管理员。如果是从链接打开的，请重新启动。",
    ),
    "form_old": (
        "This form is too old, or comes from another page. Go back, load the page again and repeat it.",
        "此表单已过期或来自其他页面。请返回并重新加载后再试。",
    ),
    "not_found": ("There is no such page or object.", "没有这样的页面或对象。"),
    "problem": ("That did not work", "操作未成功"),
    "bucket": ("Bucket", "存储桶"),
    "public_url": ("Public address", "公开地址"),
    "upload_rules": ("What is taken", "接受的内容"),
    "largest_upload": (
        "{size} and {pixels} megapixels each: {formats}",
        "每个最多 {size}、{pixels} 百万像素：{formats}",
    ),
    "shortcuts": ("Keyboard", "键盘"),
    "key_search": ("search", "搜索"),
    "key_move": ("the next or previous picture", "下一张或上一张"),
    "key_select": ("select", "选择"),
    "key_open": ("open", "打开"),
    "key_all": ("select all", "全选"),
    "key_delete": ("move the selected ones to the trash", "把所选移到回收站"),
    "key_help": ("this list", "此列表"),
    "keys_used": ("Use these keys", "启用这些按键"),
    "close": ("Close", "关闭"),
    "waiting": ("waiting", "等待中"),
    "sending": ("sending", "发送中"),
    "stored": ("stored", "已保存"),
    "cancel": ("Cancel", "取消"),
    "retry": ("Try again", "重试"),
    "filters": ("Filters and order", "筛选和排序"),
    "count": ("Count what is in them", "统计数量"),
    "all_matches": ("All matches of this search", "此搜索的全部结果"),
    "all_n_matches": ("All {number} matches", "全部 {number} 个结果"),
    "all_narrow": (
        "Search for something first: a whole folder is moved or removed by the form at its end.",
        "请先搜索：移动或删除整个文件夹请使用其底部的表单。",
    ),
    "to_folder": ("To folder", "目标文件夹"),
    "copy_to": ("Copy there", "复制到那里"),
    "link_form": ("Link as", "链接格式"),
    "move_matches": ("Move {number} objects ({size}) to {folder}?", "把 {number} 个对象（{size}）移动到 {folder}？"),
    "copy_matches": ("Copy {number} objects ({size}) to {folder}?", "把 {number} 个对象（{size}）复制到 {folder}？"),
    "remove_matches": ("Move {number} objects ({size}) to the trash?", "把 {number} 个对象（{size}）移到回收站？"),
    "yes_all": ("Yes, all of them", "是的，全部"),
    "and_more": ("and {number} more", "另有 {number} 个"),
    "more_follow": ("There are more than one request may change.", "还有更多，超出一次请求的上限。"),
    "go_on_rest": ("Go on with the rest", "继续处理其余"),
    "outcome": ("{done} done, {failed} failed.", "完成 {done} 个，失败 {failed} 个。"),
    "twice": ("Two objects would become {key!r}.", "两个对象会变成 {key!r}。"),
    "folder_change": ("Move or remove this folder", "移动或删除此文件夹"),
    "folder_new": ("New folder", "新文件夹"),
    "folder_move": ("Move this folder", "移动此文件夹"),
    "folder_inside": (
        "A folder can only be moved to another folder, not into itself.",
        "文件夹只能移到另一个文件夹，不能移到自身之内。",
    ),
    "own_template": ("Own template", "自定义模板"),
    "template_fields": (
        "Fields: {{url}} {{key}} {{name}} {{width}} {{height}}",
        "字段：{{url}} {{key}} {{name}} {{width}} {{height}}",
    ),
    "upload_options": ("Folder, name and format", "文件夹、名称和格式"),
    "template": ("Name as", "命名方式"),
    "max_side": ("Longest side in px", "最长边（像素）"),
    "convert": ("Convert to", "转换为"),
    "as_it_is": ("as it is", "保持原样"),
    "usual": ("usual", "默认"),
    "key_preview": ("{name} will be {key}", "{name} 将保存为 {key}"),
    "side_wrong": ("The longest side is a number of px, such as 2000.", "最长边应为像素数，例如 2000。"),
    "too_large": ("This file is larger than {limit}.", "此文件大于 {limit}。"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    "similar": ("Similar pictures", "相似图片"),
    "similar_known": (
        "Among the {number} pictures that were shown since the gallery was started.",
        "在启动以来显示过的 {number} 张图片中。",
    ),
    "similar_folder": ("Look at the other pictures of this folder", "查看此文件夹的其他图片"),
    "profiles": ("Buckets here", "这里的存储桶"),
    "direct": ("Large files go straight to the bucket", "大文件直接上传到存储桶"),
    "templates": ("Templates of keys and links", "键和链接的模板"),
    "doctor_title": ("Check the set-up", "检查配置"),
    "doctor_note": (
        (
            "Reads and writes a small object, asks for it as a visitor would, deletes it, and says what to do "
            "about what fails."
        ),
        "写入并读取一个小对象，像访客一样请求它，然后删除，并说明如何修复失败之处。",
    ),
    "doctor_run": ("Check now", "立即检查"),
    "doctor_fine": ("Nothing is wrong.", "一切正常。"),
    "doctor_first": ("To fix first", "首先修复"),
    "finding_ok": ("good", "正常"),
    "finding_warn": ("warning", "警告"),
    "finding_fail": ("fails", "失败"),
    "finding_skip": ("not checked", "未检查"),
    "cors_set": ("Add the missing CORS rule to the bucket", "为存储桶添加缺少的 CORS 规则"),
    "cors_done": ("The rule was added.", "规则已添加。"),
    "cors_same": ("Nothing is missing.", "没有缺少的规则。"),
    "cors_none": (
        "CORS rules are for buckets of an S3 store, and upload_origins says for which pages.",
        "CORS 规则用于 S3 存储桶，upload_origins 说明允许哪些页面。",
    ),
    "import_title": ("Settings of another program", "其他程序的设置"),
    "import_note": (
        (
            "Paste a profile of S3 Image Port, the data.json of PicGo or PicList, or the configuration of "
            "Sveltia CMS: it is shown as s3img.toml, and nothing is kept. Take the secret keys out before."
        ),
        (
            "粘贴 S3 Image Port 的配置、PicGo 或 PicList 的 data.json，或 Sveltia CMS 的配置：将显示为 "
            "s3img.toml，不会保存任何内容。请先去掉密钥。"
        ),
    ),
    "import_text": ("Its settings", "它的设置"),
    "import_name": ("Which one, if there are several", "有多个时选择哪一个"),
    "import_show": ("Show as s3img.toml", "显示为 s3img.toml"),
    "import_secrets": (
        (
            "The text held credentials ({fields}), which were dropped. Set {first} and {second} in the "
            "environment of the server, never here."
        ),
        "文本含有凭据（{fields}），已被丢弃。请在服务器的环境变量中设置 {first} 和 {second}，不要在这里输入。",
    ),
}

TABLES: Final = {
    language: {name: texts[column] for name, texts in MESSAGES.items()} for column, language in enumerate(("en", "zh"))
}


class Words:
    """The messages of one language: ``words("selected", number=3)``."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._table = TABLES[language]

    def __call__(self, message: str, /, **values: object) -> str:
        """Return a message with its values."""
        return self._table[message].format(**values)


def words_for(accept_language: str) -> Words:
    """Choose the language of a request's ``Accept-Language`` that there is a column for, else English.

    The first one that there is counts, and Chinese is taken for ``zh-CN`` (RFC 4647, section 3.4).
    """
    wanted = parse_accept_header(accept_language, LanguageAccept)
    languages = (tag.replace("_", "-").partition("-")[0].lower() for tag, quality in wanted if quality)
    return Words(next((language for language in languages if language in TABLES), "en"))
