<#
.SYNOPSIS
Reads everything of a node that drift detection and diagnosis need, in one JSON document.
.DESCRIPTION
Reads only. Of files it gives checksums, never content, but for the end of logs and for the subnet and source VIP that
flannel and kube-proxy use. A section that cannot be read is null and stands in "errors"; the others are read all the
same.
See README.md for the JSON.
.PARAMETER Request
JSON object: sections, tailLines.
.EXAMPLE
powershell.exe -File Get-NodeState.ps1 -Request '{"sections": [], "tailLines": 20}'
#>
[CmdletBinding()]
param([Parameter(Mandatory = $true)][string]$Request)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$Services = @('containerd', 'docker', 'cri-dockerd', 'kubelet', 'flanneld', 'kube-proxy', 'hns')
$Folders = @('C:\k', 'C:\etc\kubernetes', 'C:\etc\kube-flannel', 'C:\Program Files\containerd')
$Certificates = [ordered]@{
    client = 'C:\var\lib\kubelet\pki\kubelet-client-current.pem'
    server = 'C:\var\lib\kubelet\pki\kubelet-server-current.pem'
}
$Manifest = 'C:\k\manifest.json'
$LogFolder = 'C:\var\log'
$LoggingServices = @('containerd', 'cri-dockerd', 'kubelet', 'flanneld', 'kube-proxy')
# EC2Launch as it is on Windows Server 2019, then EC2Launch v2.
$LaunchLogs = @(
    'C:\ProgramData\Amazon\EC2-Windows\Launch\Log\Ec2Launch.log',
    'C:\ProgramData\Amazon\EC2-Windows\Launch\Log\UserdataExecution.log',
    'C:\ProgramData\Amazon\EC2Launch\log\agent.log'
)
$LongestLine = 500
$Lists = @('services', 'firewall', 'files', 'artifacts', 'certificates', 'disk', 'events', 'logs')
$Hashes = @{}

function Format-Time {
    param($Time)
    if ($null -eq $Time) { return $null }
    return ([datetime]$Time).ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ssZ')
}

function Get-Field {
    param($Object, [string]$Name)
    if ($null -eq $Object -or $null -eq $Object.PSObject.Properties[$Name]) { return $null }
    return $Object.$Name
}

function Get-Hash {
    param([string]$Path)
    if (-not $Hashes.ContainsKey($Path)) {
        $Hashes[$Path] = (Get-FileHash -Path $Path -Algorithm SHA256).Hash.ToLowerInvariant()
    }
    return $Hashes[$Path]
}

function Read-WindowsState {
    $version = Get-ItemProperty -Path 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion'
    $keys = @(
        'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending',
        'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired'
    )
    $shown = (& netsh.exe @('int', 'ipv4', 'show', 'dynamicport', 'tcp')) -join ' '
    $numbers = @([regex]::Matches($shown, '\d+') | ForEach-Object { [int]$_.Value })
    $system = Get-CimInstance -ClassName Win32_OperatingSystem
    return [ordered]@{
        build = [int]$version.CurrentBuildNumber
        revision = [int]$version.UBR
        computerName = "$($system.CSName)"
        bootTime = Format-Time -Time $system.LastBootUpTime
        clock = Format-Time -Time (Get-Date)
        rebootPending = @($keys | Where-Object { Test-Path -Path $_ }).Count -gt 0
        dynamicPorts = [ordered]@{ start = $numbers[-2]; count = $numbers[-1] }
    }
}

function Get-RecoveryDelay {
    param([string]$Name)
    # SERVICE_FAILURE_ACTIONS as the registry keeps it: five 32-bit words, then type and delay of each action.
    $setting = Get-ItemProperty -Path "HKLM:\SYSTEM\CurrentControlSet\Services\$Name"
    $bytes = Get-Field -Object $setting -Name 'FailureActions'
    if ($null -eq $bytes -or @($bytes).Count -lt 20) { return @() }
    $raw = [byte[]]$bytes
    $delays = @()
    for ($index = 0; $index -lt [System.BitConverter]::ToInt32($raw, 12); $index++) {
        $at = 20 + 8 * $index
        if ($at + 8 -gt $raw.Length) { break }
        $isRestart = [System.BitConverter]::ToInt32($raw, $at) -eq 1
        if ($isRestart) { $delays += [System.BitConverter]::ToInt32($raw, $at + 4) }
    }
    return $delays
}

function Read-ServiceState {
    $states = @()
    foreach ($name in $Services) {
        $found = Get-CimInstance -ClassName Win32_Service -Filter "Name='$name'"
        if ($null -eq $found) { continue }
        $started = $null
        if ($found.ProcessId -gt 0) {
            $process = Get-Process -Id $found.ProcessId -ErrorAction SilentlyContinue
            if ($null -ne $process) { $started = Format-Time -Time $process.StartTime }
        }
        $states += [ordered]@{
            name = $name
            state = "$($found.State)".ToLowerInvariant()
            startMode = "$($found.StartMode)".ToLowerInvariant()
            path = "$($found.PathName)"
            account = "$($found.StartName)"
            exitCode = [long]$found.ExitCode
            processId = [int]$found.ProcessId
            startedAt = $started
            recoveryDelaysMs = @(Get-RecoveryDelay -Name $name)
        }
    }
    return $states
}

function ConvertTo-NetworkState {
    param($Network)
    $subnets = @()
    foreach ($subnet in @(Get-Field -Object $Network -Name 'Subnets')) {
        if ($null -eq $subnet) { continue }
        $policies = @(Get-Field -Object $subnet -Name 'Policies')
        $tags = @($policies | Where-Object { (Get-Field -Object $_ -Name 'Type') -eq 'VSID' })
        $vni = $null
        if ($tags.Count -gt 0) { $vni = [int]$tags[0].VSID }
        $subnets += [ordered]@{ prefix = "$($subnet.AddressPrefix)"; gateway = "$($subnet.GatewayAddress)"; vni = $vni }
    }
    return [ordered]@{
        name = "$($Network.Name)"
        type = "$($Network.Type)"
        managementIp = "$(Get-Field -Object $Network -Name 'ManagementIP')"
        subnets = $subnets
    }
}

function ConvertTo-BalancerState {
    param($List)
    $states = @()
    foreach ($policy in @(Get-Field -Object $List -Name 'Policies')) {
        if ($null -eq $policy) { continue }
        $states += [ordered]@{
            vips = @(@(Get-Field -Object $policy -Name 'VIPs') | Where-Object { $_ })
            protocol = "$(Get-Field -Object $policy -Name 'Protocol')"
            externalPort = [int](Get-Field -Object $policy -Name 'ExternalPort')
            internalPort = [int](Get-Field -Object $policy -Name 'InternalPort')
            sourceVip = "$(Get-Field -Object $policy -Name 'SourceVIP')"
        }
    }
    return $states
}

function Read-HnsState {
    $endpoints = @(Get-HnsEndpoint | Where-Object { $null -ne $_ } | ForEach-Object {
            [ordered]@{
                name = "$(Get-Field -Object $_ -Name 'Name')"
                address = "$(Get-Field -Object $_ -Name 'IPAddress')"
                network = "$(Get-Field -Object $_ -Name 'VirtualNetworkName')"
                remote = [bool](Get-Field -Object $_ -Name 'IsRemoteEndpoint')
            }
        })
    $lists = @(Get-HnsPolicyList | Where-Object { $null -ne $_ })
    $balancers = @($lists | ForEach-Object { ConvertTo-BalancerState -List $_ })
    $found = @(Get-HnsNetwork | Where-Object { $null -ne $_ })
    $networks = @($found | ForEach-Object { ConvertTo-NetworkState -Network $_ })
    return [ordered]@{ networks = $networks; endpoints = $endpoints; loadBalancers = $balancers }
}

function Read-NetworkState {
    $addresses = @(Get-NetIPAddress -AddressFamily IPv4 | ForEach-Object {
            [ordered]@{
                address = "$($_.IPAddress)"
                prefixLength = [int]$_.PrefixLength
                interface = "$($_.InterfaceAlias)"
            }
        })
    $routes = @(Get-NetRoute -AddressFamily IPv4 | Where-Object {
            $_.DestinationPrefix -eq '0.0.0.0/0' -or $_.DestinationPrefix -like '169.254.169.*'
        } | ForEach-Object {
            [ordered]@{
                destination = "$($_.DestinationPrefix)"
                nextHop = "$($_.NextHop)"
                interface = "$($_.InterfaceAlias)"
            }
        })
    return [ordered]@{ addresses = $addresses; routes = $routes }
}

function Read-FirewallState {
    return @(Get-NetFirewallRule -Name 'bootstrap-*' -ErrorAction SilentlyContinue | ForEach-Object {
            [ordered]@{ name = "$($_.Name)"; text = "$($_.Description)"; enabled = "$($_.Enabled)" -eq 'True' }
        })
}

function Read-FileState {
    $states = @()
    foreach ($folder in $Folders) {
        if (-not (Test-Path -Path $folder)) { continue }
        $root = (Get-Item -Path $folder).FullName
        foreach ($file in @(Get-ChildItem -Path $folder -Recurse -File)) {
            $path = "$folder$($file.FullName.Substring($root.Length).Replace('/', '\'))"
            $states += [ordered]@{
                path = $path
                bytes = [long]$file.Length
                sha256 = Get-Hash -Path $path
                writtenAt = Format-Time -Time $file.LastWriteTime
            }
        }
    }
    return $states
}

function Read-ArtifactState {
    if (-not (Test-Path -Path $Manifest)) { return @() }
    $parsed = ConvertFrom-Json -InputObject ((Get-Content -Path $Manifest) -join "`n")
    return @($parsed.artifacts | ForEach-Object {
            $files = @($_.files | ForEach-Object {
                    $found = $null
                    if (Test-Path -Path $_.path) { $found = Get-Hash -Path $_.path }
                    [ordered]@{ path = "$($_.path)"; sha256 = "$($_.sha256)".ToLowerInvariant(); found = $found }
                })
            [ordered]@{ name = "$($_.name)"; url = "$($_.url)"; checksum = "$($_.checksum)"; files = $files }
        })
}

function Read-CertificateState {
    $states = @()
    foreach ($use in $Certificates.Keys) {
        if (-not (Test-Path -Path $Certificates[$use])) { continue }
        # The key stands in the same file; only the certificate is taken out of it.
        $text = (Get-Content -Path $Certificates[$use]) -join "`n"
        $block = [regex]::Match($text, '(?s)-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----')
        $bytes = [System.Convert]::FromBase64String(($block.Groups[1].Value -replace '\s', ''))
        $type = 'System.Security.Cryptography.X509Certificates.X509Certificate2'
        $certificate = New-Object -TypeName $type -ArgumentList @(, $bytes)
        $states += [ordered]@{
            use = $use
            subject = "$($certificate.Subject)"
            issuer = "$($certificate.Issuer)"
            notBefore = Format-Time -Time $certificate.NotBefore
            notAfter = Format-Time -Time $certificate.NotAfter
        }
    }
    return $states
}

function Read-FlannelState {
    $conf = $null
    if (Test-Path -Path 'C:\etc\kube-flannel\net-conf.json') {
        $conf = ConvertFrom-Json -InputObject ((Get-Content -Path 'C:\etc\kube-flannel\net-conf.json') -join "`n")
    }
    $subnet = [ordered]@{}
    if (Test-Path -Path 'C:\run\flannel\subnet.env') {
        foreach ($line in @(Get-Content -Path 'C:\run\flannel\subnet.env')) {
            $name, $value = "$line".Split([char[]]'=', 2)
            if ($name) { $subnet[$name] = "$value" }
        }
    }
    $vip = ''
    if (Test-Path -Path 'C:\k\kube-proxy.conf') {
        $text = (Get-Content -Path 'C:\k\kube-proxy.conf') -join "`n"
        $vip = [regex]::Match($text, '(?m)^\s*sourceVip:\s*[''"]?([0-9.]*)').Groups[1].Value
    }
    return [ordered]@{ netConf = $conf; subnet = $subnet; sourceVip = $vip }
}

function Read-DiskState {
    return @(Get-CimInstance -ClassName Win32_LogicalDisk -Filter 'DriveType=3' | ForEach-Object {
            [ordered]@{ drive = "$($_.DeviceID)"; bytes = [long]$_.Size; freeBytes = [long]$_.FreeSpace }
        })
}

function Read-EventState {
    param([int]$Lines)
    $states = @()
    foreach ($log in @('System', 'Application')) {
        $filter = @{ LogName = $log; Level = @(1, 2); StartTime = (Get-Date).AddDays(-1) }
        $found = @(Get-WinEvent -FilterHashtable $filter -MaxEvents 500 -ErrorAction SilentlyContinue)
        $last = @($found | Select-Object -First $Lines | ForEach-Object {
                [ordered]@{
                    time = Format-Time -Time $_.TimeCreated
                    source = "$($_.ProviderName)"
                    id = [int]$_.Id
                    message = Get-Line -Text "$($_.Message)"
                }
            })
        $states += [ordered]@{ log = $log; errors = $found.Count; last = $last }
    }
    return $states
}

function Get-Line {
    param([string]$Text)
    $line = ($Text -replace '\s+', ' ').Trim()
    return $line.Substring(0, [Math]::Min($line.Length, $LongestLine))
}

function Find-Log {
    param([string]$Name)
    $path = "$LogFolder\$Name\$Name.log"
    if ((Test-Path -Path $path) -or -not (Test-Path -Path "$LogFolder\$Name")) { return $path }
    # Where there is no kube-log-runner, the programs write PROGRAM.HOST.USER.log.INFO.DATE.PID themselves.
    $own = @(Get-ChildItem -Path "$LogFolder\$Name" -Filter '*.log.INFO.*' | Sort-Object -Property Name)
    if ($own.Count -eq 0) { return $path }
    return "$LogFolder\$Name\$($own[-1].Name)"
}

function Read-LogState {
    param([int]$Lines)
    $states = @()
    $paths = @($LoggingServices | ForEach-Object { Find-Log -Name $_ }) + $LaunchLogs
    foreach ($path in $paths) {
        if (-not (Test-Path -Path $path)) { continue }
        $tail = @()
        if ($Lines -gt 0) { $tail = @(Get-Content -Path $path -Tail $Lines | ForEach-Object { Get-Line -Text "$_" }) }
        $states += [ordered]@{ path = $path; bytes = [long](Get-Item -Path $path).Length; lines = $tail }
    }
    return $states
}

function Read-Request {
    param([string]$Text, [string[]]$Fields)
    try { $parsed = ConvertFrom-Json -InputObject $Text }
    catch { throw "WN0001 the request is no JSON: $($_.Exception.Message)" }
    foreach ($field in $Fields) {
        if ($null -eq $parsed.PSObject.Properties[$field]) { throw "WN0001 the request lacks the field $field" }
    }
    return $parsed
}

$wanted = Read-Request -Text $Request -Fields @('sections', 'tailLines')
$lines = [int]$wanted.tailLines
$readers = [ordered]@{
    windows = { Read-WindowsState }
    services = { Read-ServiceState }
    hns = { Read-HnsState }
    network = { Read-NetworkState }
    firewall = { Read-FirewallState }
    files = { Read-FileState }
    artifacts = { Read-ArtifactState }
    certificates = { Read-CertificateState }
    flannel = { Read-FlannelState }
    disk = { Read-DiskState }
    events = { Read-EventState -Lines $lines }
    logs = { Read-LogState -Lines $lines }
}
$asked = @($wanted.sections)
if ($asked.Count -eq 0) { $asked = @($readers.Keys) }
$answer = [ordered]@{ changed = $false }
$errors = @()
foreach ($section in $asked) {
    $answer[$section] = $null
    if (-not $readers.Contains($section)) {
        $errors += [ordered]@{ section = "$section"; message = 'there is no such section' }
        continue
    }
    try {
        # Windows PowerShell writes an array that came out of a function as an object, unless it is made anew.
        if ($Lists -contains $section) { $answer[$section] = @(& $readers[$section]) }
        else { $answer[$section] = & $readers[$section] }
    }
    catch { $errors += [ordered]@{ section = "$section"; message = "$($_.Exception.Message)" } }
}
$answer['errors'] = $errors
ConvertTo-Json -InputObject $answer -Compress -Depth 12
